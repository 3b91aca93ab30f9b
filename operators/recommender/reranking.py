"""Candidates put into another order by what was chosen among those that were shown.

A lesson is a pair: of two products shown side by side, one was chosen and the other was not (Joachims, *Optimizing
search engines using clickthrough data*, 2002; Burges et al., *RankNet*, 2005).  So what all candidates have in common
teaches nothing, and neither does how many were shown.  The model is a pipeline of River's; what ranks is a plain value.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import msgspec
from river import compose, linear_model, optim, preprocessing
from river.utils import VectorDict

from operators.recommender.features import Features
from operators.recommender.ranking import CHALLENGERS, Learnt, Score, Standing, Weights

STEPS = tuple(CHALLENGERS.values())
PAIRS = 3  # of one choice, drawn among what was passed over
_FADE = 0.01


class Challenger:
    """Learns pairs.  It begins with the order in which candidates come."""

    def __init__(self, step: float, begin: Learnt | None = None) -> None:
        begin = begin or Learnt(weights={"place": 1.0}, sizes={"place": 1.0})
        self._scaler = preprocessing.MaxAbsScaler()
        for name, size in begin.sizes.items():
            self._scaler.abs_max[name].update(size)
        self._model = linear_model.LogisticRegression(optim.SGD(step), intercept_lr=0.0)
        self._model._weights = VectorDict(dict(begin.weights))
        self._pipeline = compose.Pipeline(self._scaler, self._model)
        self.choices = begin.choices

    def learn(self, better: Features, worse: Features) -> None:
        names = better.keys() | worse.keys()
        pair = {name: better.get(name, 0.0) - worse.get(name, 0.0) for name in sorted(names)}
        self._pipeline.learn_one(pair, True)

    def weights(self) -> Weights:
        """For the candidates themselves: sizes and weights in one."""
        sizes = self._sizes()
        laid = {name: weight / sizes[name] for name, weight in self._model.weights.items() if sizes.get(name)}
        return Weights(weights=laid, choices=self.choices)

    def export(self) -> Learnt:
        return Learnt(weights=dict(self._model.weights), sizes=self._sizes(), choices=self.choices)

    def _sizes(self) -> dict[str, float]:
        return {name: found.get() for name, found in self._scaler.abs_max.items()}


class Reranking:
    """A champion that ranks, and challengers that are judged on each choice before they learn from it.

    A challenger takes the champion's place only where it ranked the choices of people higher by evidence; the first
    champion is the order in which candidates come, which a model must beat to be worth anything.
    """

    def __init__(self, standing: Standing | None = None, seed: int = 1) -> None:
        self._standing = standing or Standing()
        learnt = [*self._standing.challengers, *[None] * len(STEPS)]
        self.challengers = [Challenger(step, begin) for step, begin in zip(STEPS, learnt, strict=False)]
        self._scores = [*self._standing.scores, *(Score() for _ in STEPS)][: len(STEPS)]
        self._chance = Random(seed)
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
        if judge:
            self._judge(shown, chosen)
        others = [place for place in range(len(shown)) if place != chosen] if passed is None else passed
        for place in self._chance.sample(others, min(PAIRS, len(others))):
            for challenger in self.challengers:
                challenger.learn(shown[chosen], shown[place])
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

    def _judge(self, shown: Sequence[Features], chosen: int) -> None:
        mine = 1.0 / (1 + self.champion.order(shown).index(chosen))
        self.reciprocal += (mine - self.reciprocal) * _FADE
        for challenger, score in zip(self.challengers, self._scores, strict=True):
            hers = 1.0 / (1 + challenger.weights().order(shown).index(chosen))
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
