"""Candidates put into another order by what was chosen among those that were shown.

A lesson is a choice: of some products shown together one was chosen.  How likely each was to be is a softmax of its
score, so the step that makes the choice likelier is along the difference between what was chosen and what was to be
expected (the conditional logit of McFadden, 1974; as a loss of lists: ListNet, Cao et al., 2007).  What all candidates
have in common teaches nothing, and neither does how many were shown.  The model is a logistic regression of River's,
whose steps are AdaGrad's (Duchi et al., 2011), since some things are seen at every choice and some hardly ever; what
ranks is a plain value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp
from typing import Any

import msgspec
from river import linear_model, optim
from river.utils import VectorDict

from operators.recommender.features import Features
from operators.recommender.ranking import CHALLENGERS, Learnt, Score, Standing, Weights

STEPS = tuple(CHALLENGERS.values())
_FADE = 0.01
_AHEAD_MAX = 30.0
_FIRST = 1.0  # the square of a gradient that each weight begins with, so that the first choice is not all that counts


class Challenger:
    """Learns choices.  It begins with the order in which candidates come."""

    def __init__(self, step: float, begin: Learnt | None = None) -> None:
        begin = begin or Learnt(weights={"score": 1.0})
        self._optimizer = optim.AdaGrad(step, eps=_FIRST)
        self._optimizer.g2.update(begin.squares)
        self._model = linear_model.LogisticRegression(self._optimizer, intercept_lr=0.0)
        self._model._weights = VectorDict(dict(begin.weights))
        self.choices = begin.choices

    def learn(self, chosen: Features, passed: Sequence[Features], weights: Weights) -> None:
        """`weights` are its own, which whoever asks has at hand."""
        compared = [chosen, *passed]
        scores = weights.scores(compared)
        most = max(scores)
        likely = [exp(score - most) for score in scores]
        total = sum(likely)
        lesson = dict(chosen)
        for one, chance in zip(compared, likely, strict=True):
            chance /= total
            for name, value in one.items():
                lesson[name] = lesson.get(name, 0.0) - chance * value
        # A logistic regression makes less of it the further ahead the chosen one is; a softmax has done so already.
        ahead = scores[0] - sum(chance * score for chance, score in zip(likely, scores, strict=True)) / total
        self._model.learn_one(lesson, True, w=1.0 + exp(min(ahead, _AHEAD_MAX)))

    def weights(self) -> Weights:
        return Weights(weights=_named(self._model.weights), choices=self.choices)

    def export(self) -> Learnt:
        weights, squares = _named(self._model.weights), _named(self._optimizer.g2)
        return Learnt(weights=weights, squares=squares, choices=self.choices)


class Reranking:
    """A champion that ranks, and challengers that are judged on each choice before they learn from it.

    A challenger takes the champion's place only where it ranked the choices of people higher by evidence; the first
    champion is the order in which candidates come, which a model must beat to be worth anything.
    """

    def __init__(self, standing: Standing | None = None) -> None:
        self._standing = standing or Standing()
        learnt = [*self._standing.challengers, *[None] * len(STEPS)]
        self.challengers = [Challenger(step, begin) for step, begin in zip(STEPS, learnt, strict=False)]
        self._scores = [*self._standing.scores, *(Score() for _ in STEPS)][: len(STEPS)]
        self.champion = self._standing.champion
        self.reciprocal = self._standing.reciprocal
        self.latest = max(self._standing.latest, self.champion.number)
        self.held, self.heard = self._standing.held, self._standing.heard

    def order(self, shown: Sequence[Features]) -> list[int]:
        return self.champion.order(shown)

    def learn(
        self, shown: Sequence[Features], chosen: int, passed: Sequence[int] | None = None, *, judge: bool = True
    ) -> None:
        """Of what was shown, as it came, the product at this place was chosen; `passed` over were all others, or these.

        Without `judge` the choice is heard once more, as a stronger one, and tells nothing of who ranks better.
        """
        weights = [challenger.weights() for challenger in self.challengers]
        if judge:
            self._judge(shown, chosen, weights)
        others = [place for place in range(len(shown)) if place != chosen] if passed is None else passed
        passed_over = [shown[place] for place in others]
        for challenger, hers in zip(self.challengers, weights, strict=True):
            challenger.learn(shown[chosen], passed_over, hers)
        if judge:
            for challenger in self.challengers:
                challenger.choices += 1
            self._swap()

    def use(self, champion: Weights, *, held: bool) -> None:
        """The shop's word: this one ranks, and where `held`, whatever the evidence.  The contest begins anew."""
        self.champion, self.held = champion, held
        self.latest = max(self.latest, champion.number)
        self._scores = [Score(reciprocal=score.reciprocal) for score in self._scores]

    def standing(self) -> Standing:
        return Standing(
            champion=self.champion,
            reciprocal=self.reciprocal,
            challengers=[each.export() for each in self.challengers],
            scores=self._scores,
            latest=self.latest,
            held=self.held,
            heard=self.heard,
        )

    def _judge(self, shown: Sequence[Features], chosen: int, weights: Sequence[Weights]) -> None:
        mine = 1.0 / (1 + self.champion.order(shown).index(chosen))
        self.reciprocal += (mine - self.reciprocal) * _FADE
        for challenger, score in zip(weights, self._scores, strict=True):
            hers = 1.0 / (1 + challenger.order(shown).index(chosen))
            score.judged += 1
            score.gain += hers - mine
            score.squared += (hers - mine) ** 2
            score.reciprocal += (hers - score.reciprocal) * _FADE

    def _swap(self) -> None:
        better = [place for place, score in enumerate(self._scores) if score.is_better()]
        if not better or self.held:
            return
        first = max(better, key=lambda place: self._scores[place].gain)
        learnt = self.challengers[first].weights()
        self.use(msgspec.structs.replace(learnt, number=self.latest + 1), held=False)


def _named(numbers: Mapping[Any, Any]) -> dict[str, float]:
    """River's, of which it says less than that."""
    return {str(name): float(number) for name, number in numbers.items()}
