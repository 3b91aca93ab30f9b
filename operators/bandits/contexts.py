"""What is best may differ from customer to customer: a table of shares for each context, and what it is learnt from.

A context is the set of a flow's named conditions that hold for a customer, written as their names in order.  Of many
contexts most are rare, so an online model of River's, one per arm, tells what to expect of an arm in a context by what
it did in others; what was seen in the context itself then outweighs that.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple, cast

from operators.bandits.evidence import Evidence
from operators.bandits.learning import Learning
from operators.bandits.shares import Shares, regret, shares

MODEL_TRIES_MAX, MODEL_SHARE = 20.0, 0.01
"""So many tries the model's word is worth in a context: a share of those it has learnt from, at most so many."""
RATE = 0.01


class Try(NamedTuple):
    """An arm chosen in a context at a moment (ms), and whether a reward has come."""

    arm: str
    context: str
    at: int
    rewarded: bool


def every_context(conditions: Sequence[str]) -> list[str]:
    """All that can hold together; the empty one first."""
    names = sorted(conditions)
    return [" ".join(some) for size in range(len(names) + 1) for some in combinations(names, size)]


class Learner:
    """Learns from tries in order of time, as known at a moment, and tells the shares from then on."""

    def __init__(self, arms: Sequence[str], conditions: Sequence[str], learning: Learning, now: int) -> None:
        self._learning, self._now = learning, now
        self._contexts = every_context(conditions)
        self._seen = {context: {arm: Evidence() for arm in arms} for context in self._contexts}
        self._models = {arm: _Model() for arm in arms} if conditions else {}

    def learn(self, one: Try) -> None:
        """An arm or a context that is there no more teaches nothing."""
        evidence = self._seen.get(one.context, {}).get(one.arm)
        if evidence is None:
            return
        evidence.add(self._learning, self._now, one.at, one.rewarded)
        if self._models:
            answered = self._learning.answered(self._now - one.at)
            self._models[one.arm].learn(one.context, one.rewarded, 1.0 if one.rewarded else answered)

    def table(self) -> dict[str, Shares]:
        lost = sum(regret(arms) for arms in self._seen.values())
        return {
            context: shares({arm: self._believed(context, arm) for arm in arms}, self._learning, lost)
            for context, arms in self._seen.items()
        }

    def totals(self) -> dict[str, Evidence]:
        """By arm, over all contexts."""
        found: dict[str, Evidence] = {}
        for arms in self._seen.values():
            for arm, evidence in arms.items():
                found[arm] = found.get(arm, Evidence()) + evidence
        return found

    def _believed(self, context: str, arm: str) -> Evidence:
        seen = self._seen[context][arm]
        if not self._models:
            return seen
        model = self._models[arm]
        worth = min(MODEL_TRIES_MAX, MODEL_SHARE * model.learnt)
        return seen + Evidence(worth, worth * model.expects(context))


class _Model:
    """River's logistic regression over the conditions that hold; it begins at one in two, like everything here."""

    def __init__(self) -> None:
        from river import linear_model, optim  # here, since whoever only looks shares up need not wait for it

        self.learnt = 0
        self._model = linear_model.LogisticRegression(optimizer=optim.Adam(RATE), intercept_lr=0.0)

    def learn(self, context: str, rewarded: bool, weight: float) -> None:
        self.learnt += 1
        self._model.learn_one(_features(context), rewarded, w=weight)

    def expects(self, context: str) -> float:
        return cast(float, self._model.predict_proba_one(_features(context))[True])  # type: ignore[no-untyped-call]


def _features(context: str) -> dict[str, float]:
    return {"always": 1.0, **{f"is {name}": 1.0 for name in context.split()}}
