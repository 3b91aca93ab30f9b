"""How far each source of candidates is to be trusted, learnt from the stream itself.

A recommendation mixes several guesses at the next product: what follows the last one, what follows the one before,
what she saw already, what sells.  Each guess gives probabilities, so what did happen says which guess deserved it: its
responsibility, as in expectation maximisation done step by step.  Hence no weight is tuned to a shop by hand.

Trust is kept per kind of guess, per length of the visit, and per how much the guess rests on.
"""

from __future__ import annotations

from collections.abc import Sequence

STEP = 0.002  # of the way from the old trust to what one event says
LEAST = 1e-5  # so that a source that became good can come back
_LEVELS = (1.5, 4.0, 10.0, 40.0)

Key = tuple[str, int, int, int]


def level(evidence: float) -> int:
    """How much a guess rests on, in five steps."""
    return sum(evidence >= least for least in _LEVELS)


class Trust:
    """Weights of the mixture, by (kind, position in the visit, length of the visit, level of evidence)."""

    def __init__(self, begin: dict[str, float]) -> None:
        self._begin = begin
        self.weights: dict[Key, float] = {}

    def of(self, key: Key) -> float:
        weight = self.weights.get(key)
        if weight is None:
            weight = self.weights[key] = self._begin[key[0]] / (1 + key[1])
        return weight

    def learn(self, guesses: Sequence[tuple[Key, float]]) -> None:
        """What happened had these probabilities."""
        weights = [self.of(key) for key, _ in guesses]
        everything = sum(weights)
        likelihood = sum(weight * guess[1] for weight, guess in zip(weights, guesses, strict=True))
        if not likelihood:
            return
        for weight, (key, probability) in zip(weights, guesses, strict=True):
            gradient = weight * probability / likelihood - weight / everything
            self.weights[key] = max(LEAST, weight + STEP * gradient)
