"""What of a customer's inputs is yet to come while her history is run again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from operators.memory import Taken
from state.arrivals import Late, Place
from state.catalogue import CatalogueChange
from state.events import Event
from state.passages import NEVER


class Ahead:
    """What is yet to come, and came before some wait ended though others that stand before it did not.

    `due`: the earliest moment of those waits that have not ended to this day.
    """

    def __init__(self, inputs: Sequence[Taken], late: Mapping[Place, Late], due: int) -> None:
        moments = _times(inputs)
        self._soonest = [due] * (len(inputs) + 1)  # a wait that ends then, or later, does so after one of them
        for number in reversed(range(len(inputs))):
            note = late.get(inputs[number].place)
            self._soonest[number] = min(moments[number], self._soonest[number + 1]) if note is None else note.due

    def comes_before(self, until: int, number: int) -> bool:
        """Whether something from this one on came before a wait that ended then."""
        return self._soonest[number] <= until


def _times(inputs: Sequence[Taken]) -> list[int]:
    """When each happened; `NEVER` for what has no time of its own, or was told before."""
    known, found = set[str](), list[int]()
    for taken in inputs:
        what, at = taken.what, taken.at
        if isinstance(what, Event) and not isinstance(what, CatalogueChange):
            at = None if what.id in known else at
            known.add(what.id)
        found.append(NEVER if at is None else at)
    return found
