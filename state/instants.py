"""Instants as milliseconds since 1970 (UTC), and as the text that the outside sees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_EPOCH_DAY = _EPOCH.toordinal()


class NaiveInstant(ValueError):
    """A time stamp without a zone: it could mean any of 26 instants."""


def format_instant(at: int) -> str:
    """`YYYY-MM-DDTHH:MM:SS.mmmZ`."""
    seconds, ms = divmod(at, 1000)
    day, second = divmod(seconds, 86400)
    hour, rest = divmod(second, 3600)
    return f"{_day_text(day)}T{hour:02}:{rest // 60:02}:{rest % 60:02}.{ms:03}Z"


def parse_instant(text: str) -> int:
    """Milliseconds of an ISO 8601 instant.  Raises `NaiveInstant` without a zone, else `ValueError`."""
    # Nearly every time stamp has the one form that JavaScript writes; it costs a fifth of the general way.
    if len(text) == 24 and text[23] == "Z" and text[10] == "T" and text[19] == "." and text.isascii():
        clock = text[11:13] + text[14:16] + text[17:19] + text[20:23]
        if clock.isdigit() and text[13] == text[16] == ":" and clock[:2] < "24" and clock[2:4] < "60" > clock[4:6]:
            number = int(clock)
            seconds = number // 10_000_000 * 3600 + number // 100_000 % 100 * 60 + number // 1000 % 100
            return _day_number(text[:10]) * 86_400_000 + seconds * 1000 + number % 1000
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise NaiveInstant(text)
    return (moment - _EPOCH) // _MS


@lru_cache(maxsize=4096)
def _day_number(text: str) -> int:
    if len(text) != 10 or text[4] != "-" or text[7] != "-":
        raise ValueError(text)
    return datetime.fromisoformat(text).toordinal() - _EPOCH_DAY


@lru_cache(maxsize=4096)
def _day_text(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).strftime("%Y-%m-%d")
