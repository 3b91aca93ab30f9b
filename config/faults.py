"""How configuration says what is wrong: place, fact and way out, and all faults at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """`place` is a setting, a variable or a file; `fact` reads on from it; `way_out` is a sentence of its own."""

    place: str
    fact: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.place} {self.fact}. {self.way_out}"


class ConfigError(Exception):
    """The configuration cannot be used. `faults` has all that is wrong with it, unknown names first.

    `flows` is the module of flows that it names, where that is not at fault, so that the flows can be looked at too.
    """

    def __init__(self, faults: Iterable[Fault], flows: str | None = None) -> None:
        self.faults, self.flows = tuple(faults), flows
        super().__init__("\n".join(map(str, self.faults)))


class Unfits(ValueError):
    """A table of which several entries are not taken: the name of each, its value as it was written, and why."""

    def __init__(self, entries: Iterable[tuple[str, object, Unfit]]) -> None:
        self.entries = tuple(entries)
        super().__init__("; ".join(f"{name} {unfit}" for name, _, unfit in self.entries))


class Unfit(ValueError):
    """A value that a setting does not take: `fact` reads on from "is …, " and `way_out` names one that it does."""

    def __init__(self, fact: str, way_out: str) -> None:
        super().__init__(f"{fact}. {way_out}")
        self.fact = fact
        self.way_out = way_out
