"""What another policy would have earned, told from yesterday's log of this one and the propensities in it.

Intervals are normal ones, but not with the variance of the log alone: where an action was rarely tried and would be
chosen often, its few tries weigh most and have mostly had no reward yet, so that variance is far too small (in
simulated logs such intervals held the truth in 54 to 90 %).  Each is taken at least as large as if every action
earned what the average one does.  And where rewards were few (none at all says least), a normal interval ends too low:
there it reaches as far as one for a weighted sum of rare events (M. Fay and E. Feuer, Confidence intervals for directly
standardized rates, Statistics in Medicine 1997).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

Values = npt.NDArray[np.float64]
ESS_MIN = 100.0
FEW = 30.0  # rewards, of equal weight
ROUNDING = 1e-9
_TAIL = 0.025


class Estimate(NamedTuple):
    """Per decision, with an interval at 95 %.  `ess`: so many decisions of the other policy the log is worth; below
    `ESS_MIN` the two do not meet often enough, and the interval means nothing.  Nor does it where the value lies
    outside of it: beyond all rewards, where an interval ends."""

    value: float
    low: float
    high: float
    ess: float

    @property
    def is_supported(self) -> bool:
        slack = ROUNDING * max(1.0, abs(self.value))
        return self.ess >= ESS_MIN and self.low - slack <= self.value <= self.high + slack


def ips(rewards: Values, propensities: Values, target: Values) -> Estimate:
    """Inverse propensity scoring (Horvitz and Thompson 1952): unbiased, at the mercy of large weights.

    `target` is the other policy's probability of the action that was taken.
    """
    weights = _weights(propensities, target)
    mean, square = _moments(rewards, weights)
    found = weights * rewards
    spread = max(float(np.var(found)), float(np.mean(weights**2)) * square - mean * mean)
    return _estimate(float(np.mean(found)), spread / len(rewards), rewards, weights)


def snips(rewards: Values, propensities: Values, target: Values) -> Estimate:
    """Self-normalised (Swaminathan and Joachims 2015): a little biased, and never outside of the rewards."""
    weights = _weights(propensities, target)
    mean, square = _moments(rewards, weights)
    total = float(np.sum(weights))
    spread = max(float(np.sum((weights * (rewards - mean)) ** 2)), float(np.sum(weights**2)) * (square - mean * mean))
    return _estimate(mean, spread / total**2, rewards, weights)


def doubly_robust(
    rewards: Values, propensities: Values, target: Values, expected: Values, expected_of_target: Values
) -> Estimate:
    """A model of the rewards, corrected by what it missed (Dudík, Langford and Li 2011).

    `expected`: the model's reward of the action taken; `expected_of_target`: of the other policy's actions, on
    average.  The model must not have seen the decision it is asked about (`folds`).
    """
    weights = _weights(propensities, target)
    mean, square = _moments(rewards, weights)
    found = expected_of_target + weights * (rewards - expected)
    spread = max(float(np.var(found)), float(np.mean(weights**2)) * max(0.0, square - mean * mean))
    return _estimate(float(np.mean(found)), spread / len(rewards), rewards, weights)


def folds(count: int) -> npt.NDArray[np.int64]:
    """Two halves by turns: a model learnt on one is asked about the other."""
    return np.arange(count) % 2


def _weights(propensities: Values, target: Values) -> Values:
    if not len(propensities):
        raise ValueError("The log is empty: there is nothing to judge a policy by.")
    if float(np.min(propensities)) <= 0:
        raise ValueError("A propensity in the log is not above 0: such an action was never taken by chance.")
    weights: Values = target / propensities
    if not float(np.sum(weights)):
        raise ValueError("The policy would have taken none of the actions in the log: it says nothing about it.")
    return weights


def _moments(rewards: Values, weights: Values) -> tuple[float, float]:
    """Mean reward and mean squared reward under the other policy."""
    total = float(np.sum(weights))
    return float(np.sum(weights * rewards)) / total, float(np.sum(weights * rewards**2)) / total


def _estimate(value: float, variance: float, rewards: Values, weights: Values) -> Estimate:
    """No policy earns less than the least reward or more than the greatest, so the interval ends there."""
    half = 1.959964 * math.sqrt(max(0.0, variance))
    least, most = min(0.0, float(np.min(rewards))), float(np.max(rewards)) or 1.0
    ess = float(np.sum(weights)) ** 2 / float(np.sum(weights**2))
    down, up = (max(half, few) for few in _where_few(rewards, weights, most))
    return Estimate(value, min(most, max(least, value - down)), max(least, min(most, value + up)), ess)


def _where_few(rewards: Values, weights: Values, most: float) -> tuple[float, float]:
    """How far below and above its estimate the mean reward may be as it rests on few; zeros where it does not.

    What another reward would weigh is taken as the other policy would meet it, not as the largest weight there is.
    """
    total = float(np.sum(weights))
    told, squares = float(np.sum(weights * rewards)), float(np.sum((weights * rewards) ** 2))
    if float(np.min(rewards)) < 0 or told**2 > FEW * squares:
        return 0.0, 0.0
    low = squares / told * float(special.gammaincinv(told**2 / squares, _TAIL)) if told else 0.0
    one = most * float(np.sum(weights**2)) / total
    more, spread = told + one, squares + one * one
    high = spread / more * float(special.gammaincinv(more**2 / spread, 1 - _TAIL))
    return (told - low) / total, (high - told) / total
