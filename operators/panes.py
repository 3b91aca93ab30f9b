"""Sliding and tumbling windows: values in panes of equal length."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, TypeVar

from operators.steps import days, hours, milliseconds, minutes
from operators.window import PARTS_MAX, Window
from state.customer import Customer

V_co = TypeVar("V_co", covariant=True)

BACK_MAX = 100
ORIGIN = 4 * 24 * 3600 * 1000  # Monday, 1970-01-05
_ROUND = (
    *(timedelta(seconds=n) for n in (1, 5, 15)),
    *(minutes(n) for n in (1, 5, 15)),
    *(hours(n) for n in (1, 6)),
    *(days(n) for n in (1, 7)),
)


@dataclass(frozen=True)
class Panes(Window):
    """Values by the number of their pane."""

    _each: int = field(init=False, repr=False, default=1)
    _kept: int = field(init=False, repr=False, default=1)  # how many panes before the newest one

    def empty(self) -> Any:
        return {}

    def take(self, parts: Any, value: Any, at: int, newest: int) -> None:
        pane = self.pane(at)
        held = parts.get(pane)
        parts[pane] = self.keep.add(held, value, at)
        if held is None and len(parts) > 1:
            oldest = self.pane(newest) - self._kept
            for each in [each for each in parts if each < oldest]:
                del parts[each]

    def joined(self, parts: Any, others: Any, newest: int) -> Any:
        for pane, held in others.items():
            parts[pane] = self.keep.merge(parts[pane], held) if pane in parts else held
        oldest = self.pane(newest) - self._kept
        return {pane: parts[pane] for pane in sorted(parts) if pane >= oldest}

    def pane(self, at: int) -> int:
        return (at - ORIGIN) // self._each


@dataclass(frozen=True)
class Sliding(Panes, Generic[V_co]):
    """What happened in the last `over`.

    What knows its own moments (`distinct`, `last`) is exact: after `now - over`, and no later than `now`.  The others
    count whole panes: never what is as old as `over` or older, but the oldest of what is younger, less than `each`,
    is already gone; and of the pane in which `now` lies all that came so far.
    """

    over: timedelta
    each: timedelta | None = None
    _over: int = field(init=False, repr=False, default=0)

    def __post_init__(self) -> None:
        self.check(self.over >= timedelta(seconds=1), f"over must be a second or more, got {self.over}")
        each = max((step for step in _ROUND if step * 24 <= self.over), default=_ROUND[0])
        each = each if self.each is None else self.each
        self.check(timedelta(milliseconds=1) <= each <= self.over, f"each must be at most over, got {each}")
        self.settle(_each=milliseconds(each), _over=milliseconds(self.over))
        panes = -(-(self._over + milliseconds(self.grace)) // self._each)
        self.check(
            self.keep.timed or panes <= PARTS_MAX,
            f"over and grace are {panes} panes of {each}, at most {PARTS_MAX} are kept. Let each be longer",
        )
        self.settle(_kept=panes)
        super().__post_init__()

    def of(self, customer: Customer, now: int) -> V_co:
        """What the window says at this moment (event time, ms)."""
        parts, since = self.parts(customer), now - self._over
        if not self.keep.timed:
            first, last = self.pane(since), self.pane(now)
            parts = {pane: held for pane, held in parts.items() if first < pane <= last}
        found: V_co = self.keep.read(parts.values(), since, now)
        return found

    def take(self, parts: Any, value: Any, at: int, newest: int) -> None:
        if not self.keep.timed:
            super().take(parts, value, at, newest)
            return
        # All in one part; the number of its pane says when it was last rid of what is too old.
        pane = self.pane(newest)
        trimmed, held = next(iter(parts.items()), (pane, None))
        held = self.keep.add(held, value, at)
        if pane != trimmed:
            held = self.keep.younger(held, newest - self._over - self._grace)
            del parts[trimmed]
        parts[pane] = held

    def joined(self, parts: Any, others: Any, newest: int) -> Any:
        if not self.keep.timed:
            return super().joined(parts, others, newest)
        one, other = next(iter(parts.values()), None), next(iter(others.values()), None)
        if one is None or other is None:
            return parts or others
        held = self.keep.younger(self.keep.merge(one, other), newest - self._over - self._grace)
        return {self.pane(newest): held}

    def plain(self, customer: Customer, now: int) -> Any:
        return self.keep.plain(self.of(customer, now))

    def cut(self) -> tuple[object, ...]:
        return () if self.keep.timed else (self._each,)


@dataclass(frozen=True)
class Tumbling(Panes, Generic[V_co]):
    """What happened in the period that `now` lies in: from its start on, and before the start of the next."""

    every: timedelta
    back: int = 1

    def __post_init__(self) -> None:
        self.check(self.every >= timedelta(seconds=1), f"every must be a second or more, got {self.every}")
        self.check(0 <= self.back <= BACK_MAX, f"back must be 0 to {BACK_MAX} periods, got {self.back}")
        self.settle(_each=milliseconds(self.every))
        late = -(-milliseconds(self.grace) // self._each)
        self.check(late <= BACK_MAX, f"grace must be at most {BACK_MAX} periods, got {self.grace}")
        self.settle(_kept=self.back + late)
        super().__post_init__()

    def of(self, customer: Customer, now: int, back: int = 0) -> V_co:
        """What the period says that `now` (event time, ms) lies in, or that of so many periods before.

        More than the declared `back` is not kept, and reads as empty.
        """
        pane = self.pane(now) - back
        parts = self.parts(customer)
        start = pane * self._each + ORIGIN
        helds = [parts[pane]] if pane in parts and 0 <= back <= self.back else []
        found: V_co = self.keep.read(helds, start - 1, start + self._each - 1)
        return found

    def plain(self, customer: Customer, now: int) -> Any:
        return self.keep.plain(self.of(customer, now))

    def cut(self) -> tuple[object, ...]:
        return (self._each,)
