"""Session windows: events that follow one another without a pause."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, TypeVar

from operators.steps import milliseconds
from operators.window import PARTS_MAX, Window
from state.customer import Customer

V_co = TypeVar("V_co", covariant=True)


@dataclass(frozen=True)
class Session(Window, Generic[V_co]):
    """Her visit that is open at `now`: begun, and its last event less than `gap` ago.

    A late event can join two visits into one.  A visit counts whole: asked about a moment in it, what came later in
    it is in.  Held are [start, end, what is kept], in order of time.
    """

    gap: timedelta
    _gap: int = field(init=False, repr=False, default=1)

    def __post_init__(self) -> None:
        self.check(self.gap >= timedelta(seconds=1), f"gap must be a second or more, got {self.gap}")
        self.settle(_gap=milliseconds(self.gap))
        most = milliseconds(self.grace) // self._gap + 3
        self.check(most <= PARTS_MAX, f"grace must be at most {PARTS_MAX - 3} gaps, got {self.grace}")
        super().__post_init__()

    def of(self, customer: Customer, now: int) -> V_co:
        """What the visit says that is open at this moment (event time, ms); as nothing where none is."""
        visit = self._open(customer, now)
        found: V_co = self.keep.read([] if visit is None else [visit[2]], -1, visit[1] if visit else 0)
        return found

    def began(self, customer: Customer, now: int) -> int | None:
        """When the visit began that is open at this moment; None where none is."""
        visit = self._open(customer, now)
        return None if visit is None else int(visit[0])

    def empty(self) -> Any:
        return []

    def take(self, parts: Any, value: Any, at: int, newest: int) -> None:
        if parts and parts[-1][0] <= at < parts[-1][1] + self._gap:
            visit = parts[-1]
            visit[2] = self.keep.add(visit[2], value, at)
            if at > visit[1]:
                visit[1] = at
            return
        made = [at, at, self.keep.add(None, value, at)]
        oldest = newest - self._grace - self._gap
        if not parts or at >= parts[-1][1] + self._gap:
            parts[:] = [each for each in parts if each[1] > oldest]
            parts.append(made)
            return
        for visit in [each for each in parts if at - each[1] < self._gap and each[0] - at < self._gap]:
            parts.remove(visit)
            made = [min(made[0], visit[0]), max(made[1], visit[1]), self.keep.merge(visit[2], made[2])]
        parts[:] = sorted([*(each for each in parts if each[1] > oldest), made], key=lambda each: each[0])

    def joined(self, parts: Any, others: Any, newest: int) -> Any:
        found: list[Any] = []
        for visit in sorted([*parts, *others], key=lambda each: (each[0], each[1])):
            if found and visit[0] - found[-1][1] < self._gap:
                last = found[-1]
                found[-1] = [last[0], max(last[1], visit[1]), self.keep.merge(last[2], visit[2])]
            else:
                found.append(visit)
        oldest = newest - self._grace - self._gap
        return [visit for visit in found if visit[1] > oldest or visit is found[-1]]

    def plain(self, customer: Customer, now: int) -> Any:
        return self.keep.plain(self.of(customer, now))

    def cut(self) -> tuple[object, ...]:
        return (self._gap,)

    def _open(self, customer: Customer, now: int) -> Any:
        for visit in reversed(self.parts(customer)):
            if visit[0] <= now < visit[1] + self._gap:
                return visit
        return None
