"""In which order a customer's inputs came, as far as the log does not tell it.

The log has the order of each partition.  Between partitions, and between an event and the waits that ended in the
meantime, there is an order that anybody would expect, and nearly always it is what happened; only what came otherwise
is noted with the customer, so that her story can be told as it was.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

LATE_MAX = 64  # what came otherwise than expected longest ago is forgotten

Place = tuple[str, int, int]  # topic, partition, offset


class Late(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An input that came otherwise than expected.

    `due`: the earliest moment (event time) of those waits of hers that had not ended by then.  `after`: the input
    that came before it; None where it came as the log has it.
    """

    place: Place
    due: int
    after: Place | None


class Arrivals(msgspec.Struct, gc=False, array_like=True):
    """`front`: how far the inputs have come that came as the log has them, `by` which partition.

    `last`: what came last; `furthest`: the latest time of an event.
    """

    front: int
    by: tuple[str, int]
    last: Place
    furthest: int
    late: list[Late] = []


def arrive(
    before: Arrivals | None, place: Place, *, key: int, at: int | None, is_late: bool, due: Callable[[], int]
) -> Arrivals:
    """An input came.

    `key` is the time that orders partitions, `at` that of an event.  `is_late`: some wait had ended, or had not,
    otherwise than `key` and `at` would have it.  `due` as in `Late`, asked only where it is noted.
    """
    its = place[:2]
    if before is None:
        return Arrivals(key, its, place, at or 0, [Late(place, due(), None)] if is_late else [])
    if before.last == place:
        return before  # one record brought several things
    comes_in_order = key > before.front or before.by == its
    if at is not None:
        is_late = is_late or at < before.furthest or (at == before.furthest and before.last[:2] != its)
        before.furthest = max(at, before.furthest)
    if is_late or not comes_in_order:
        late = Late(place, due(), None if comes_in_order else before.last)
        before.late = [*before.late[1 - LATE_MAX :], late]
    if key > before.front:
        before.front, before.by = key, its
    before.last = place
    return before


def came(before: Arrivals | None, place: Place, due: int) -> Arrivals:
    """An input came that has no time of its own on the replay clock, and after which another story goes on."""
    if before is None:
        return Arrivals(0, place[:2], place, 0, [Late(place, due, None)])
    if before.last == place:
        return before
    before.late = [*before.late[1 - LATE_MAX :], Late(place, due, before.last)]
    before.last = place
    return before
