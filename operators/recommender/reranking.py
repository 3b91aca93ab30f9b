"""Candidates put into another order by what was chosen among those that were shown.

A lesson is a pair: of two products shown side by side, one was chosen and the other was not (Joachims, *Optimizing
search engines using clickthrough data*, 2002; Burges et al., *RankNet*, 2005).  So what all candidates have in common
teaches nothing, and neither does how many were shown.  The model is a pipeline of River's; what ranks is a plain value.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from random import Random

import msgspec
from river import compose, linear_model, optim, preprocessing
from river.utils import VectorDict

from operators.recommender.features import Features

FORMAT = 1
STEPS = (0.02, 0.1)  # of the challengers: a slow one and a quick one
PAIRS = 3  # of one choice, drawn among what was passed over
_EVIDENCE = 4.0  # standard errors, as choices of one visitor resemble each other
_LOOKS_EVERY = 500


class Weights(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A version of what ranks.  `number` 0 is the order in which candidates come.  Fields are only ever added."""

    format: int = FORMAT
    number: int = 0
    weights: dict[str, float] = {}
    choices: int = 0  # that it learnt from

    def order(self, shown: Sequence[Features]) -> list[int]:
        """Places, best first; of equals the one that came first."""
        if not self.weights:
            return list(range(len(shown)))
        of = self.weights.get
        scores = [sum(of(name, 0.0) * value for name, value in one.items()) for one in shown]
        return sorted(range(len(shown)), key=lambda place: (-scores[place], place))


class Score(msgspec.Struct, kw_only=True):
    """A challenger's reciprocal rank less the champion's, over the choices since the champion was made."""

    judged: int = 0
    gain: float = 0.0
    squared: float = 0.0

    def is_better(self) -> bool:
        """By evidence, looked at only so often."""
        if not self.judged or self.judged % _LOOKS_EVERY:
            return False
        mean = self.gain / self.judged
        return mean > _EVIDENCE * sqrt(max(self.squared / self.judged - mean * mean, 1e-12) / self.judged)


class Learnt(msgspec.Struct, kw_only=True):
    """A challenger as a value: what its pipeline weighs, and the sizes it divides by."""

    weights: dict[str, float] = {}
    sizes: dict[str, float] = {}
    choices: int = 0


class Standing(msgspec.Struct, kw_only=True):
    """All of a contest, to be stored and taken up again."""

    champion: Weights = Weights()
    reciprocal: float = 0.0  # of the champion, fading: what is watched
    challengers: list[Learnt] = []
    scores: list[Score] = []


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

    def order(self, shown: Sequence[Features]) -> list[int]:
        return self.champion.order(shown)

    def learn(self, shown: Sequence[Features], chosen: int) -> None:
        """Of what was shown, the product at this place was chosen."""
        mine = 1.0 / (1 + self.champion.order(shown).index(chosen))
        self.reciprocal += (mine - self.reciprocal) * 0.01
        for challenger, score in zip(self.challengers, self._scores, strict=True):
            gain = 1.0 / (1 + challenger.weights().order(shown).index(chosen)) - mine
            score.judged += 1
            score.gain += gain
            score.squared += gain * gain
        others = [place for place in range(len(shown)) if place != chosen]
        for place in self._chance.sample(others, min(PAIRS, len(others))):
            for challenger in self.challengers:
                challenger.learn(shown[chosen], shown[place])
        for challenger in self.challengers:
            challenger.choices += 1
        self._swap()

    def standing(self) -> Standing:
        return Standing(
            champion=self.champion,
            reciprocal=self.reciprocal,
            challengers=[each.export() for each in self.challengers],
            scores=self._scores,
        )

    def _swap(self) -> None:
        better = [place for place, score in enumerate(self._scores) if score.is_better()]
        if not better:
            return
        first = max(better, key=lambda place: self._scores[place].gain)
        learnt = self.challengers[first].weights()
        self.champion = msgspec.structs.replace(learnt, number=self.champion.number + 1)
        self._scores = [Score() for _ in STEPS]
