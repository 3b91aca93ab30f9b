"""Instants as milliseconds since 1970 (UTC), and as the text that the outside sees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)
_MS = timedelta(milliseconds=1)


class NaiveInstant(ValueError):
    """A time stamp without a zone: it could mean any of 26 instants."""


def format_instant(at: int) -> str:
    """`YYYY-MM-DDTHH:MM:SS.mmmZ`."""
    minute, rest = divmod(at, 60_000)
    second, ms = divmod(rest, 1000)
    return f"{_minute_text(minute)}{second:02}.{ms:03}Z"


def parse_instant(text: str) -> int:
    """Milliseconds of an ISO 8601 instant.  Raises `NaiveInstant` without a zone, else `ValueError`."""
    if len(text) == 24 and text[23] == "Z":
        # Nearly every time stamp has this one form; without a zone, numbers come out of it four times as fast.
        moment = datetime.fromisoformat(text[:23])
        if moment.tzinfo is None and text[10] == "T":
            since = moment - _NAIVE_EPOCH
            return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise NaiveInstant(text)
    return (moment - _EPOCH) // _MS


@lru_cache(maxsize=4096)
def _minute_text(minute: int) -> str:
    return (_NAIVE_EPOCH + timedelta(minutes=minute)).isoformat()[:17]
