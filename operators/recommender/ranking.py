"""Who ranks and who would like to, as plain values: what is stored, published, and read where nothing is learnt."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, sqrt

import msgspec

from operators.recommender.features import Features

FORMAT = 2  # 1 weighed other features
CHALLENGERS = {"slow": 0.05, "quick": 0.1}  # by the steps with which they learn
CHAMPION, CONTEST = "champion", "contest"  # the notes of a store that keep `Weights` and `Standing`
_EVIDENCE = 4.0  # standard errors, as choices of one visitor resemble each other
_LOOKS_EVERY = 500
encode = msgspec.json.Encoder(order="deterministic").encode


class Weights(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A version of what ranks.  `number` 0 is the order in which candidates come.  Fields are only ever added."""

    format: int = FORMAT
    number: int = 0
    weights: dict[str, float] = {}
    choices: int = 0  # that it learnt from

    @property
    def name(self) -> str:
        """As a recommendation tells it; empty where nothing is put into another order."""
        return f"rerank-{self.number}" if self.number else ""

    def order(self, shown: Sequence[Features]) -> list[int]:
        """Places, best first; of equals the one that came first."""
        if not self.weights:
            return list(range(len(shown)))
        scores = self.scores(shown)
        return sorted(range(len(shown)), key=lambda place: (-scores[place], place))

    def scores(self, shown: Sequence[Features]) -> list[float]:
        of = self.weights.get
        return [sum([of(name, 0.0) * value for name, value in one.items()]) for one in shown]


class Score(msgspec.Struct, kw_only=True):
    """A challenger's reciprocal rank less the champion's, over the choices since the champion was made."""

    judged: int = 0
    gain: float = 0.0
    squared: float = 0.0
    reciprocal: float = 0.0  # fading: what is watched

    def is_better(self) -> bool:
        """By evidence, looked at only so often."""
        return bool(self.judged) and not self.judged % _LOOKS_EVERY and self.mean > _EVIDENCE * self.error

    @property
    def mean(self) -> float:
        return self.gain / self.judged if self.judged else 0.0

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return sqrt(max(self.squared / self.judged - self.mean**2, 1e-12) / self.judged) if self.judged else 0.0


class Learnt(msgspec.Struct, kw_only=True):
    """A challenger as a value: its weights, and the sums of the squares of their gradients, by which steps shrink."""

    weights: dict[str, float] = {}
    squares: dict[str, float] = {}
    choices: int = 0


class Standing(msgspec.Struct, kw_only=True):
    """All of a contest, to be stored and taken up again.  Fields are only ever added, with a default."""

    champion: Weights = Weights()
    reciprocal: float = 0.0  # of the champion, fading: what is watched
    challengers: list[Learnt] = []
    scores: list[Score] = []
    latest: int = 0  # the highest number there was: none is given twice
    held: bool = False  # nobody takes the champion's place
    heard: str = ""  # the last wish of the shop that was heeded


def read_weights(stored: bytes) -> Weights:
    """Raises `ValueError` for what is no version, or is one of another format."""
    return checked(msgspec.json.decode(stored, type=Weights))


def checked(weights: Weights) -> Weights:
    """The same.  Raises `ValueError` where they could not rank here."""
    if weights.format < FORMAT and weights.weights:
        raise ValueError(f"written by an older version (format {weights.format}), which weighed other things")
    if weights.format > FORMAT:
        raise ValueError(f"written by a newer version (format {weights.format}, this one knows {FORMAT})")
    if weights.number < 0 or not all(map(isfinite, weights.weights.values())):
        raise ValueError("these are no weights of a version")
    return weights
