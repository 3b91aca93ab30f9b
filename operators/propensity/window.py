"""A customer's habits as a window of her record: `WINDOWS = [habits]` keeps them, `habits.of(customer)` reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from operators.keep import Keep
from operators.propensity.habits import Habits, fold, is_coming, joined
from operators.steps import days
from operators.window import Window
from state.customer import Customer
from state.events import Event


def coming(event: Event) -> Event | None:
    return event if is_coming(event) else None


class _Comings(Keep[Event, Habits]):
    kind: ClassVar[str] = "habits"
    select: Callable[[Any], Any] = staticmethod(coming)


@dataclass(frozen=True)
class HabitsWindow(Window):
    """Held are the fields of `Habits`, in their order."""

    def of(self, customer: Customer) -> Habits:
        """As of her last event; of who never came, none."""
        return Habits(*self.parts(customer))

    def empty(self) -> Any:
        return []

    def take(self, parts: Any, value: Any, at: int, newest: int) -> None:
        habits = Habits(*parts)
        fold(habits, value)
        parts[:] = msgspec.structs.astuple(habits)

    def joined(self, parts: Any, others: Any, newest: int) -> Any:
        return list(msgspec.structs.astuple(joined(Habits(*parts), Habits(*others))))

    def plain(self, customer: Customer, now: int) -> Any:
        return {**msgspec.structs.asdict(habits := self.of(customer)), "hours": list(habits.hours)}

    def cut(self) -> tuple[object, ...]:
        return ("habits",)


habits = HabitsWindow("habits", Event, None, _Comings(), days(7))
