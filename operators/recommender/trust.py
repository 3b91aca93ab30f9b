"""How far each source of candidates is to be trusted, learnt from the stream itself.

A recommendation mixes several guesses at the next product: what follows the last one, what comes before the one before,
what she saw already, what sells.  Each gives probabilities, so what did happen says which of them deserved it; weights
move towards it by exponentiated gradient (Kivinen & Warmuth, 1997), fast while they are young.  Hence no weight is set
by hand for a shop: each shop's own visitors set it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp

import msgspec

STEP_LEAST = 0.002
YOUNG = 20.0  # judgements after which a weight moves half as fast as at first
_LEAST, _MOST, _JUMP = 1e-6, 1e3, 2.0
_GROWN_UP = 1.0 / STEP_LEAST - YOUNG  # judgements after which a step is the least one


class Trust(msgspec.Struct, array_like=True):
    """A weight for each slot (see `guesses`), and how often it was judged.  A plain value."""

    weights: list[float]
    judged: list[int]

    def judge(self, guesses: Sequence[tuple[int, float]]) -> None:
        """What happened had these probabilities, by slot."""
        weights, judged = self.weights, self.judged
        together = likelihood = 0.0
        for slot, probability in guesses:
            weight = weights[slot]
            together += weight
            likelihood += weight * probability
        if not likelihood:
            return
        ratio = together / likelihood
        for slot, probability in guesses:
            times = judged[slot] = judged[slot] + 1
            # `min` and `max` would be called a hundred times a judgement.
            step = 1.0 / (times + YOUNG) if times < _GROWN_UP else STEP_LEAST
            jump = step * (probability * ratio - 1.0)
            moved = weights[slot] * exp(jump if jump < _JUMP else _JUMP)
            weights[slot] = moved if _LEAST <= moved <= _MOST else _LEAST if moved < _LEAST else _MOST
