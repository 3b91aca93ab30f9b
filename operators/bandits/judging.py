"""What another policy would have earned of a choice, told from the decisions of the one that ran."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from operators.bandits.off_policy import Estimate, Values, doubly_robust, folds, ips, snips
from operators.bandits.schedule import Policy
from operators.bandits.tries import Tried


def judge(tries: Sequence[Tried], policy: Policy, arms: Sequence[str]) -> dict[str, Estimate]:
    """By estimator, of tries whose time is over.  Raises `ValueError` where the log says nothing of the policy."""
    rewards = np.array([each.one.rewarded for each in tries], float)
    propensities = np.array([each.propensity for each in tries], float)
    chosen = [_shares(policy, each.one.context) for each in tries]
    target = np.array([shares.get(each.one.arm, 0.0) for each, shares in zip(tries, chosen, strict=True)], float)
    expected, of_target = _expected(tries, chosen, arms)
    return {
        "ips": ips(rewards, propensities, target),
        "snips": snips(rewards, propensities, target),
        "doubly_robust": doubly_robust(rewards, propensities, target, expected, of_target),
    }


def _shares(policy: Policy, context: str) -> Mapping[str, float]:
    return policy[context] if context in policy else policy.get("", {})


def _expected(
    tries: Sequence[Tried], chosen: Sequence[Mapping[str, float]], arms: Sequence[str]
) -> tuple[Values, Values]:
    """What a model of mean rewards by arm and context says of each try, learnt from the half that it is not in."""
    half = folds(len(tries))
    means = [_means([each for each, fold in zip(tries, half, strict=True) if fold != asked]) for asked in (0, 1)]
    expected, of_target = [], []
    for each, shares, fold in zip(tries, chosen, half, strict=True):
        told = {arm: means[fold][arm, each.one.context] for arm in arms}
        expected.append(told.get(each.one.arm, 0.0))
        of_target.append(sum(shares.get(arm, 0.0) * mean for arm, mean in told.items()))
    return np.array(expected, float), np.array(of_target, float)


def _means(tries: Sequence[Tried]) -> defaultdict[tuple[str, str], float]:
    """With one success and one failure assumed beforehand, at the rate of all."""
    overall = sum(each.one.rewarded for each in tries) / max(1, len(tries))
    seen: defaultdict[tuple[str, str], list[bool]] = defaultdict(list)
    for each in tries:
        seen[each.one.arm, each.one.context].append(each.one.rewarded)
    found = {key: (sum(told) + 2 * overall) / (len(told) + 2) for key, told in seen.items()}
    return defaultdict(lambda: overall, found)
