"""What a customer spends is largely what she always spends: take that out, and the rest is told more sharply.

A. Deng, Y. Xu, R. Kohavi and T. Walker, Improving the sensitivity of online controlled experiments by utilizing
pre-experiment data, WSDM 2013.
"""

from __future__ import annotations

from operators.measuring.outcomes import Mean, Outcomes, centred


def adjusted(treated: Outcomes, control: Outcomes) -> tuple[Mean, Mean]:
    """Both arms' revenue as if both had spent the same before.

    Nothing changes where spending before says nothing about spending after, or nobody bought before.
    """
    slope = _slope(treated, control)
    both = treated + control
    common = both.before / both.customers if both.customers else 0.0
    return _adjust(treated, slope, common), _adjust(control, slope, common)


def variance_left(treated: Outcomes, control: Outcomes) -> float:
    """Variance after the adjustment as a share of that before; 1 where it does not help."""
    before = [arm.revenue() for arm in (treated, control)]
    after = adjusted(treated, control)
    whole = sum(arm.customers * arm.variance for arm in before)
    return sum(arm.customers * arm.variance for arm in after) / whole if whole else 1.0


def _slope(treated: Outcomes, control: Outcomes) -> float:
    """Of spending after on spending before, within the arms."""
    arms = [arm for arm in (treated, control) if arm.customers]
    spread = sum(_before_squares(arm) for arm in arms)
    return sum(_products(arm) for arm in arms) / spread if spread else 0.0


def _adjust(arm: Outcomes, slope: float, common: float) -> Mean:
    plain = arm.revenue()
    if not plain.customers or not slope:
        return plain
    squares = slope * slope * _before_squares(arm) - 2 * slope * _products(arm)
    mean = plain.mean - slope * (arm.before / arm.customers - common)
    return plain._replace(mean=mean, variance=max(0.0, plain.variance + squares / arm.customers))


def _before_squares(arm: Outcomes) -> float:
    return centred(arm.customers, arm.before, arm.before, arm.before_squares)


def _products(arm: Outcomes) -> float:
    return centred(arm.customers, arm.spent, arm.before, arm.products)
