"""What every way of keeping is: adding, merging, reading.  The ways themselves are in `operators.keeps`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from state.events import Event

E_contra = TypeVar("E_contra", bound=Event, contravariant=True)
V_co = TypeVar("V_co", covariant=True)
T = TypeVar("T", str, int)


class Keep(Generic[E_contra, V_co]):
    """One way of keeping.  `timed`: it knows the moment of each thing it holds, so a reading is exact to it."""

    kind: ClassVar[str]
    timed: ClassVar[bool] = False
    select: Callable[[Any], Any]

    def add(self, held: Any, value: Any, at: int) -> Any:
        """What is held with one more value, `held` being None at first.  May change `held` itself."""
        raise NotImplementedError

    def merge(self, one: Any, other: Any) -> Any:
        raise NotImplementedError

    def read(self, helds: Iterable[Any], since: int, until: int) -> V_co:
        """The value of all that is held; if `timed`, of what came after `since` and no later than `until`."""
        raise NotImplementedError

    def younger(self, held: Any, than: int) -> Any:
        """If `timed`: what is held without that of this moment (ms) and before."""
        return held

    def plain(self, value: Any) -> Any:
        """The value as JSON can say it."""
        return value


class Seen(NamedTuple, Generic[T]):
    """A value and the event time (ms) it came with."""

    at: int
    value: T
