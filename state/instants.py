"""Instants as milliseconds since 1970 (UTC), and as the text that the outside sees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)
_read = datetime.fromisoformat


class NaiveInstant(ValueError):
    """A time stamp without a zone: it could mean any of 26 instants."""


def format_instant(at: int) -> str:
    """`YYYY-MM-DDTHH:MM:SS.mmmZ`."""
    minute, rest = divmod(at, 60_000)
    second, ms = divmod(rest, 1000)
    return f"{_minute_text(minute)}{second:02}.{ms:03}Z"


def parse_instant(text: str) -> int:
    """Milliseconds of an ISO 8601 instant.  Raises `NaiveInstant` without a zone, else `ValueError`."""
    moment = _read(text)
    if moment.tzinfo is None:
        raise NaiveInstant(text)
    # Of all exact ways from an aware datetime to a number this takes the fewest steps.
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


@lru_cache(maxsize=4096)
def _minute_text(minute: int) -> str:
    return (_NAIVE_EPOCH + timedelta(minutes=minute)).isoformat()[:17]
