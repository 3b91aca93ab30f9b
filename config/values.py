"""The values that settings hold once they are read, each with the text it is written as: `str(value)` reads back as it.

Reading them is in `config.kinds`; where they are used is not known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from config.faults import Unfit

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
DURATION_MS_MAX = 3660 * DAY_MS
UNITS_MS = {"week": 7 * DAY_MS, "day": DAY_MS, "hour": 60 * MINUTE_MS, "minute": MINUTE_MS, "second": 1000}
_SHORT = {"w": "week", "d": "day", "h": "hour", "m": "minute", "min": "minute", "s": "second", "sec": "second"}
_DURATION = re.compile(r"(?:\d{1,9}\s*[a-z]+\s*)+")
_PART = re.compile(r"(\d{1,9})\s*([a-z]+)")


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `count` marketing messages to one customer in any `period_ms`."""

    count: int
    period_ms: int

    def __str__(self) -> str:
        return f"{self.count} per {duration_text(self.period_ms)}"


class Quiet(NamedTuple):
    """When no marketing goes out, in minutes of the customer's local day; it may go over midnight."""

    from_minute: int
    to_minute: int

    def __str__(self) -> str:
        return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in self)


class Address(NamedTuple):
    """Where a server listens or is found."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Stalled:
    """What to do when a source cannot be read: hold the clock, or release it `after_ms` (0 when it holds)."""

    what: Literal["hold", "release"]
    after_ms: int = 0

    def __str__(self) -> str:
        return "hold" if self.what == "hold" else f"release after {duration_text(self.after_ms)}"


def duration_ms(text: str) -> int:
    """Milliseconds of `30d`, `20 minutes`, `1 h 30 min`. Raises `Unfit` for anything else, zero and above ten years."""
    way_out = 'Something like "20 minutes", "36 hours" or "7d" will do.'
    plain = text.strip().lower()
    if not _DURATION.fullmatch(plain):
        raise Unfit("which is not a duration", way_out)
    total = 0
    for count, unit in _PART.findall(plain):
        known = _SHORT.get(unit, unit.removesuffix("s"))
        if known not in UNITS_MS:
            raise Unfit(f'whose "{unit}" is not a unit of time', way_out)
        total += int(count) * UNITS_MS[known]
    if not 0 < total <= DURATION_MS_MAX:
        raise Unfit("which is not between one second and ten years", way_out)
    return total


def duration_text(milliseconds: int) -> str:
    """The duration in the largest unit that leaves no rest: `7 days`, `1 hour`, `90 minutes`."""
    for unit, size in UNITS_MS.items():
        if unit != "week" and milliseconds % size == 0:
            count = milliseconds // size
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    raise ValueError(f"{milliseconds} ms is not a whole number of seconds.")
