"""How much more those bought who were written to than those who were held out, however often one looks.

Each interval is one moment of a confidence sequence: with probability 1 − α *all* intervals ever shown cover
the truth, so that one may look every day and stop when one likes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from operators.measuring.outcomes import Mean, Outcomes
from operators.measuring.ratio import log_mixture

ALPHA = 0.05
CONCENTRATION = 100.0
"""Of the mixture over lifts: most sensitive to a ratio of about 0.8 to 1.25."""
RATE_MAX = 0.5
"""Up to which a high rate of buyers makes the interval narrower; beyond, small arms would deceive."""
SHARPEST_AT = 10_000
"""The number of customers at which a difference of means is told most sharply; set before any data."""
BUYERS_MIN = 20
"""In each arm, before the variance of what they spend means anything."""


class Interval(NamedTuple):
    estimate: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def conversion_lift(treated: Outcomes, control: Outcomes, alpha: float = ALPHA) -> Interval:
    """The relative lift of the conversion rate: 0.12 says that 12 % more bought.

    If a treated customer is r times as likely to buy as a held-out one, each buyer is a treated one with
    probability n₁r / (n₁r + n₀), and which values of it the data refute is told by the sample-ratio test, inverted:
    no approximation for rare events, and the rate itself may change from day to day.  (M. Lindon and A. Malek,
    Anytime-valid inference for multinomial count data, NeurIPS 2022.)  The customers that came stand in for the
    shares they were drawn with.  Given them, buyers spread less than at random, by a share 1 − rate of the variance
    (as in a hypergeometric draw), so that many buyers in few customers weigh as much as more of them would.
    """
    if not treated.customers or not control.customers:
        return Interval(math.nan, -1.0, math.inf)
    odds = treated.customers / control.customers
    weight = 1 / (1 - min(RATE_MAX, *(arm.buyers / (arm.customers + 1) for arm in (treated, control))))
    low, high = _shares_not_refuted(weight * treated.buyers, weight * control.buyers, odds / (1 + odds), alpha)
    return Interval(
        _relative(treated.rate, control.rate),
        low / (1 - low) / odds - 1,
        high / (1 - high) / odds - 1 if high < 1 else math.inf,
    )


def revenue_lift(treated: Mean, control: Mean, alpha: float = ALPHA) -> Interval:
    """The difference in revenue per customer, in the unit of the means.

    The asymptotic confidence sequence of I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy and A. Ramdas
    (Time-uniform central limit theory and asymptotic confidence sequences, Annals of Statistics 2024) for the
    difference of two means.  It is wider here in two ways, since a few large orders in a small arm gave up to 40 %
    false alarms otherwise: each arm counts with the larger of its own variance and that within both arms, and nothing
    is said before there are `BUYERS_MIN` in each.
    """
    if not treated.customers or not control.customers:
        return Interval(math.nan, -math.inf, math.inf)
    difference = treated.mean - control.mean
    if min(treated.buyers, control.buyers) < BUYERS_MIN:
        return Interval(difference, -math.inf, math.inf)
    n = treated.customers + control.customers
    within = (treated.customers * treated.variance + control.customers * control.variance) / n
    spread = sum(max(arm.variance, within) / arm.customers for arm in (treated, control))
    half = math.sqrt(n * spread) * _boundary(n, alpha)
    return Interval(difference, difference - half, difference + half)


def _relative(rate: float, base: float) -> float:
    if base:
        return rate / base - 1
    return math.inf if rate else math.nan


def _boundary(n: int, alpha: float) -> float:
    """Robbins' normal mixture: how far a mean of n values of variance one ever gets from zero."""
    wanted = -2 * math.log(alpha)
    squared = (wanted + math.log(wanted + 1)) / SHARPEST_AT
    inside = n * squared + 1
    return math.sqrt(2 * inside / (n * n * squared) * math.log(math.sqrt(inside) / alpha))


def _shares_not_refuted(ones: float, others: float, centre: float, alpha: float) -> tuple[float, float]:
    """The shares of ones against which the evidence is less than 1/α: an interval around ones / (ones + others)."""
    if not ones + others:
        return 0.0, 1.0
    least = log_mixture((ones, others), (centre, 1 - centre), CONCENTRATION) + math.log(alpha)

    def is_refuted(share: float) -> bool:
        return _times_log(ones, share) + _times_log(others, 1 - share) < least

    peak = ones / (ones + others)
    return _edge(is_refuted, peak, 0.0), _edge(is_refuted, peak, 1.0)


def _edge(is_refuted: Callable[[float], bool], inside: float, outside: float) -> float:
    """Where between the two it begins to be refuted; `outside` itself where that is not."""
    if not is_refuted(outside):
        return outside
    for _ in range(60):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if is_refuted(middle) else (middle, outside)
    return outside


def _times_log(count: float, share: float) -> float:
    if not count:
        return 0.0
    return count * math.log(share) if share > 0 else -math.inf
