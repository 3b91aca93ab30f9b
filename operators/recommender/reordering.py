"""The champion at work: candidates in its order, and what each of those shown was ranked by, for the log.

What is shown teaches only by the numbers of the moment it was shown in: made again when a choice is read, they would
know of the choice already.  So they are logged with the answer, also while nothing is put into another order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from operators.recommender.features import Features, measured, whole
from operators.recommender.model import CoVisitation
from operators.recommender.ranking import Weights
from operators.recommender.visits import Visit

REORDERED = 40  # candidates; what is further down stays there
DESCRIBED_MAX = 24  # of one answer, the first: hardly anybody looks at more
_DIGITS = 3
_Ranked = tuple[str, float]


class Reordering:
    """Of one answer.  `blocks.Reorder`; what passed through is remembered until `described` is asked."""

    def __init__(self, model: CoVisitation, champion: Weights, now: int) -> None:
        self._model, self._champion, self._now = model, champion, now
        self._visit = Visit()
        self._passed: list[_Ranked] = []
        self._measured: list[Features] = []

    def __call__(self, visit: Visit, ranked: Iterable[_Ranked]) -> Iterator[_Ranked]:
        self._visit = visit
        if not self._champion.weights:
            for one in ranked:
                self._passed.append(one)
                yield one
            return
        rest = iter(ranked)
        self._passed = list(islice(rest, REORDERED))
        self._measured = measured(self._model, visit, self._passed, self._now)
        order = self._champion.order([whole(one) for one in self._measured])
        # The scores stay with the places, so that a rule which weighs them goes on from this order.
        for place, at in enumerate(order):
            yield self._passed[at][0], self._passed[place][1]
        yield from rest

    def described(self, items: Sequence[str]) -> tuple[Features, ...]:
        """What each was ranked by, of the first of these; nothing for what was no candidate of these."""
        items = items[:DESCRIBED_MAX]
        places = {item: place for place, (item, _) in enumerate(self._passed[:REORDERED])}
        deepest = max((places[item] for item in items if item in places), default=-1)
        found = self._measured or measured(self._model, self._visit, self._passed[: deepest + 1], self._now)
        return tuple(_rounded(found[places[item]]) if item in places else {} for item in items)


def _rounded(one: Features) -> Features:
    return {name: round(value, _DIGITS) for name, value in one.items()}
