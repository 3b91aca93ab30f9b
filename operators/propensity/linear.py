"""Models as plain values that score: what is exported, kept, published, and asked by flows.

They know nothing of River, which takes a second to import and is needed by who learns alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import exp, log

import msgspec

LOGIT_MAX = 12.0


class Linear(msgspec.Struct, frozen=True, gc=False):
    """A sum of weights, with a calibration laid over it."""

    weights: dict[str, float] = {}
    intercept: float = 0.0
    slope: float = 1.0
    offset: float = 0.0
    outcomes: int = 0  # that it learnt from

    def total(self, features: Iterable[str]) -> float:
        total, of = self.intercept, self.weights.get
        for name in features:
            total += of(name, 0.0)
        return self.slope * total + self.offset

    def chance(self, features: Iterable[str]) -> float:
        return logistic(self.total(features))


def logistic(logit: float) -> float:
    """Never quite 0 or 1, so that no single surprise costs without end."""
    return 1.0 / (1.0 + exp(-max(-LOGIT_MAX, min(LOGIT_MAX, logit))))


def log_loss(said: float, came: bool) -> float:
    return -log(said if came else 1.0 - said)
