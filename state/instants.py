"""Instants as milliseconds since 1970 (UTC), and as the text that the outside sees."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY = date(1970, 1, 1)
# To look digits up takes a fraction of formatting them.
_TWO = [f"{n:02}" for n in range(60)]
_THREE = [f"{n:03}" for n in range(1000)]
_read = datetime.fromisoformat


class NaiveInstant(ValueError):
    """A time stamp without a zone: it could mean any of 26 instants."""


def format_instant(at: int) -> str:
    """`YYYY-MM-DDTHH:MM:SS.mmmZ`."""
    day, rest = divmod(at, 86_400_000)
    hour, rest = divmod(rest, 3_600_000)
    minute, rest = divmod(rest, 60_000)
    second, ms = divmod(rest, 1000)
    return f"{_day_text(day)}T{_TWO[hour]}:{_TWO[minute]}:{_TWO[second]}.{_THREE[ms]}Z"


def parse_instant(text: str) -> int:
    """Milliseconds of an ISO 8601 instant.  Raises `NaiveInstant` without a zone, else `ValueError`."""
    moment = _read(text)
    if moment.tzinfo is None:
        raise NaiveInstant(text)
    # Of all exact ways from an aware datetime to a number this takes the fewest steps.
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


@lru_cache(maxsize=4096)
def _day_text(day: int) -> str:
    return (_FIRST_DAY + timedelta(days=day)).isoformat()
