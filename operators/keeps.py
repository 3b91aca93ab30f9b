"""What a window keeps of its events: `keep=count()`, `sum_of(items)`, `distinct(product)`, `last(10, product)`.

Every kind of keeping gives the same for any order of the same events, merges with itself, and has a stated bound.
What it holds for a customer are plain numbers, texts, lists and dicts, read and written by the store.  A selector is
a function with a name that takes the event; where it says None, the event does not count.  Nothing here knows what
a window is; see `operators.windows`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from operators.faults import FlowError
from operators.keep import E_contra, Keep, Seen, T
from operators.steps import named
from state.events import Event
from state.instants import format_instant
from state.money import Money

E = TypeVar("E", bound=Event)
N = TypeVar("N", int, float)

AT_MOST_MAX = 1_000
TEXT_CHARS_MAX = 256  # of a value that is kept; longer ones are cut, as product ids never are
INT_MAX = 2**63 - 1


def one(event: Event) -> int:
    return 1


@dataclass(frozen=True)
class Sum(Keep[E_contra, int]):
    select: Callable[[Any], Any]
    kind: ClassVar[str] = "sum"

    def add(self, held: Any, value: Any, at: int) -> Any:
        if type(value) is not int:
            raise TypeError("a sum takes whole numbers (money in minor units): fractions add up differently by order")
        total = value if held is None else held + value
        return total if -INT_MAX <= total <= INT_MAX else max(-INT_MAX, min(total, INT_MAX))

    def merge(self, one: Any, other: Any) -> Any:
        return self.add(one, other, 0)

    def read(self, helds: Iterable[Any], since: int, until: int) -> int:
        return sum(helds)


@dataclass(frozen=True)
class SumOfMoney(Keep[E_contra, Mapping[str, Money]]):
    select: Callable[[Any], Any]
    kind: ClassVar[str] = "sum of money"
    CURRENCIES_MAX: ClassVar[int] = 200  # there are fewer

    def add(self, held: Any, value: Any, at: int) -> Any:
        return self.merge({} if held is None else held, {value.currency: value.minor})

    def merge(self, one: Any, other: Any) -> Any:
        for currency, minor in other.items():
            if currency in one or len(one) < self.CURRENCIES_MAX:
                one[currency] = min(one.get(currency, 0) + minor, INT_MAX)
        return one

    def read(self, helds: Iterable[Any], since: int, until: int) -> Mapping[str, Money]:
        total: dict[str, int] = {}
        for held in helds:
            self.merge(total, held)
        return {currency: Money(total[currency], currency) for currency in sorted(total)}

    def plain(self, value: Any) -> Any:
        return {currency: str(each.amount) for currency, each in value.items()}


class Extreme(Keep[E_contra, N | None]):
    """The smallest or largest value: whichever `better` takes of several."""

    better: ClassVar[Callable[..., Any]]

    def add(self, held: Any, value: Any, at: int) -> Any:
        if type(value) not in (int, float) or not -INT_MAX <= value <= INT_MAX:
            raise TypeError("a smallest or largest value is taken of numbers of at most 64 bits")
        return value if held is None else self.better(held, value)

    def merge(self, one: Any, other: Any) -> Any:
        return self.better(one, other)

    def read(self, helds: Iterable[Any], since: int, until: int) -> N | None:
        found: N | None = self.better(helds, default=None)
        return found


@dataclass(frozen=True)
class Smallest(Extreme[E_contra, N]):
    select: Callable[[Any], Any]
    kind: ClassVar[str] = "min"
    better = staticmethod(min)


@dataclass(frozen=True)
class Largest(Extreme[E_contra, N]):
    select: Callable[[Any], Any]
    kind: ClassVar[str] = "max"
    better = staticmethod(max)


@dataclass(frozen=True)
class Distinct(Keep[E_contra, tuple[str, ...]]):
    """Values and when each was seen last.  Up to twice `at_most` are held, so that cutting is rare."""

    select: Callable[[Any], Any]
    at_most: int
    kind: ClassVar[str] = "distinct"
    timed: ClassVar[bool] = True

    def add(self, held: Any, value: Any, at: int) -> Any:
        value = _text(value)
        if held is None:
            return {value: at}
        if at > held.get(value, -1):
            held[value] = at
            if len(held) > 2 * self.at_most:
                return dict(self._newest(held))
        return held

    def merge(self, one: Any, other: Any) -> Any:
        for value, at in other.items():
            one = self.add(one, value, at)
        return one

    def read(self, helds: Iterable[Any], since: int, until: int) -> tuple[str, ...]:
        held: dict[str, int] = {}
        for each in helds:
            held = self.merge(held, each)
        return tuple(value for value, at in self._newest(held) if since < at <= until)

    def younger(self, held: Any, than: int) -> Any:
        return {value: at for value, at in held.items() if at > than}

    def plain(self, value: Any) -> Any:
        return list(value)

    def _newest(self, held: dict[str, int]) -> list[tuple[str, int]]:
        return sorted(held.items(), key=lambda entry: (-entry[1], entry[0]))[: self.at_most]


@dataclass(frozen=True)
class Last(Keep[E_contra, tuple[Seen[T], ...]]):
    """The newest values, equal ones too, the newest last."""

    select: Callable[[Any], Any]
    at_most: int
    kind: ClassVar[str] = "last"
    timed: ClassVar[bool] = True

    def add(self, held: Any, value: Any, at: int) -> Any:
        entry = [at, value if type(value) is int and -INT_MAX <= value <= INT_MAX else _text(value)]
        if held is None:
            return [entry]
        held.append(entry)
        if held[-2][0] >= at:
            held.sort(key=_by_time)
        if len(held) > self.at_most:
            del held[: -self.at_most]
        return held

    def merge(self, one: Any, other: Any) -> Any:
        return sorted(one + other, key=_by_time)[-self.at_most :]

    def read(self, helds: Iterable[Any], since: int, until: int) -> tuple[Seen[T], ...]:
        held: list[Any] = []
        for each in helds:
            held = self.merge(held, each)
        return tuple(Seen(at, value) for at, value in reversed(held) if since < at <= until)

    def younger(self, held: Any, than: int) -> Any:
        return [entry for entry in held if entry[0] > than]

    def plain(self, value: Any) -> Any:
        return [{"at": format_instant(seen.at), "value": seen.value} for seen in value]


def _by_time(entry: list[Any]) -> tuple[int, str]:
    # Those of one moment are told apart by their value, never by who came first.
    return entry[0], repr(entry[1])


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError("what is kept one by one are texts, or in last(…) whole numbers of at most 64 bits")
    return value[:TEXT_CHARS_MAX]


def count() -> Keep[Event, int]:
    """How many events."""
    return Sum(one)


def sum_of(select: Callable[[E], int | None]) -> Keep[E, int]:
    """The sum of whole numbers, held within 64 bits."""
    named(select, "sum_of(…)")
    return Sum(select)


def sum_of_money(select: Callable[[E], Money | None]) -> Keep[E, Mapping[str, Money]]:
    """Exact sums by currency: `spent.of(customer, now).get("PLN")`."""
    named(select, "sum_of_money(…)")
    return SumOfMoney(select)


def min_of(select: Callable[[E], N | None]) -> Keep[E, N | None]:
    named(select, "min_of(…)")
    return Smallest(select)


def max_of(select: Callable[[E], N | None]) -> Keep[E, N | None]:
    named(select, "max_of(…)")
    return Largest(select)


def distinct(select: Callable[[E], str | None], at_most: int = 100) -> Keep[E, tuple[str, ...]]:
    """The different texts seen, the one seen last first; of more than `at_most`, those seen last."""
    named(select, "distinct(…)")
    return Distinct(select, _bound(at_most, "distinct"))


def last(at_most: int, select: Callable[[E], T | None]) -> Keep[E, tuple[Seen[T], ...]]:
    """The newest `at_most` values with their times, the newest first: `last(1, product)` is where she is now."""
    named(select, "last(…)")
    return Last(select, _bound(at_most, "last"))


def _bound(at_most: int, place: str) -> int:
    if not 1 <= at_most <= AT_MOST_MAX:
        raise FlowError(f"{place}(…): at_most is {at_most}. Every window is bounded: write 1 to {AT_MOST_MAX}.")
    return at_most
