"""Moments of the customer's own day: the next nine o'clock, the next Tuesday at ten.

The days on which clocks change are the reason for this module.  A local time that a gap swallows
is taken at the first moment after the gap; one that a fold repeats is taken the first time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from operators.faults import FlowError

MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = range(7)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def to_local(at: int, zone_name: str) -> datetime:
    return (_EPOCH + at * _MS).astimezone(zone(zone_name))


def minute_of_day(at: int, zone_name: str) -> int:
    """What the clock of the zone shows, in minutes since midnight."""
    offset = steady_offset(at // DAY_MS, zone_name)
    if offset is None:
        local = to_local(at, zone_name)
        return local.hour * 60 + local.minute
    return (at + offset) % DAY_MS // MINUTE_MS


@lru_cache(maxsize=16_384)
def steady_offset(day: int, zone_name: str) -> int | None:
    """How far (ms) a zone is ahead of UTC from this day (since 1970, UTC) to the end of the day after the next.

    None where its clocks change meanwhile: then each moment must be looked at by itself.  Nowhere do they
    change and change back within three days.
    """
    first, last = to_local(day * DAY_MS, zone_name), to_local((day + 3) * DAY_MS, zone_name)
    offset = first.utcoffset()
    if offset is None or offset != last.utcoffset():
        return None
    return offset // _MS


def from_local(local: datetime) -> int:
    """Milliseconds of an aware local time; one inside a gap is moved to the end of the gap."""
    instant = local.replace(fold=0).astimezone(UTC)
    back = instant.astimezone(local.tzinfo)
    if back.replace(tzinfo=None) != local.replace(tzinfo=None):
        # Inside a gap: fold=0 lands after it by as much as the time was into the gap.
        before = (instant - timedelta(days=1)).astimezone(local.tzinfo).utcoffset()
        after = (instant + timedelta(days=1)).astimezone(local.tzinfo).utcoffset()
        assert before is not None
        assert after is not None
        low, high = instant - (after - before), instant
        while high - low > _MS:
            middle = low + (high - low) / 2
            if middle.astimezone(local.tzinfo).utcoffset() == before:
                low = middle
            else:
                high = middle
        instant = high
    return round((instant - _EPOCH) / _MS)


def next_minute_of_day(at: int, minute: int, zone_name: str, *, weekday: int | None = None) -> int:
    """The first moment after `at` at which the clock of the zone shows this minute of the day."""
    offset = steady_offset(at // DAY_MS, zone_name) if weekday is None else None
    if offset is not None:
        ahead_ms = (minute * MINUTE_MS - (at + offset)) % DAY_MS
        return at + (ahead_ms or DAY_MS)
    local = to_local(at, zone_name)
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    for ahead in range(9):
        candidate = day.replace(tzinfo=None) + timedelta(days=ahead)
        if weekday is not None and candidate.weekday() != weekday:
            continue
        moment = from_local((candidate + timedelta(minutes=minute)).replace(tzinfo=zone(zone_name)))
        if moment > at:
            return moment
    raise AssertionError(f"no minute {minute} within nine days")


@dataclass(frozen=True)
class LocalTime:
    """An hour and minute of the customer's day, perhaps on one weekday only."""

    hour: int
    minute: int = 0
    weekday: int | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.hour <= 23 and 0 <= self.minute <= 59 and self.weekday in {None, *range(7)}):
            raise FlowError(
                f"at({self.hour}, {self.minute}): hours go from 0 to 23, minutes to 59, weekdays to SUNDAY."
            )

    @property
    def longest(self) -> timedelta:
        return timedelta(days=1 if self.weekday is None else 7)

    def next_after(self, at: int, zone_name: str) -> int:
        return next_minute_of_day(at, self.hour * 60 + self.minute, zone_name, weekday=self.weekday)


def at(hour: int, minute: int = 0, *, weekday: int | None = None) -> LocalTime:
    return LocalTime(hour, minute, weekday)
