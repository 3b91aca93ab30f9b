"""What another policy would have earned, told from yesterday's log of this one and the propensities in it.

Intervals are normal ones, but not with the variance of the log alone: where an action was rarely tried and would be
chosen often, its few tries weigh most and have mostly had no reward yet, so that variance is far too small (in
simulated logs such intervals held the truth in 54 to 90 %).  Each is taken at least as large as if every action
earned what the average one does.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
ESS_MIN = 100.0


class Estimate(NamedTuple):
    """Per decision, with an interval at 95 %.  `ess`: so many decisions of the other policy the log is worth; below
    `ESS_MIN` the two do not meet often enough, and the interval means nothing."""

    value: float
    low: float
    high: float
    ess: float

    @property
    def is_supported(self) -> bool:
        return self.ess >= ESS_MIN


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
    least, most = float(np.min(rewards)), float(np.max(rewards))
    ess = float(np.sum(weights)) ** 2 / float(np.sum(weights**2))
    return Estimate(value, max(least, value - half), min(most, value + half), ess)
