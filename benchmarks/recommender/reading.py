"""Clicks from a file: columns `ts,session,item[,split]` or RetailRocket's, in any order, gzipped or not."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, NamedTuple

_NAMES = {
    "at": ("ts", "timestamp", "time", "at"),
    "session": ("session", "session_id", "sessionid", "user", "visitorid", "visitor", "user_id"),
    "item": ("item", "item_id", "itemid", "product_id"),
    "split": ("split",),
    "event": ("event",),
}
WEIGHTS = {"view": 1.0, "addtocart": 3.0, "transaction": 5.0}
_MS_FROM = 1e11  # seconds reach this in the year 5138, milliseconds have passed it in 1973


class Unreadable(ValueError):
    """The message names the place, the fact and the way out."""


class Click(NamedTuple):
    """`at` in ms; `weight` is what such an event counts; `split` is empty where the file has none."""

    at: int
    session: str
    item: str
    weight: float
    split: str


def read(path: Path) -> list[Click]:
    """In order of time; clicks of one moment as they stand in the file.  Raises `Unreadable`."""
    with _open(path) as text:
        clicks = sorted(_clicks(path, text), key=lambda click: click.at)
    if not clicks:
        raise Unreadable(f"{path}: no clicks in it.")
    return clicks


def _open(path: Path) -> IO[str]:
    try:
        with path.open("rb") as start:
            packed = start.read(2) == b"\x1f\x8b"
    except OSError as error:
        raise Unreadable(f"{path}: cannot be read ({error.strerror}).") from None
    opened: Callable[..., IO[str]] = gzip.open if packed else open
    return opened(path, "rt", encoding="utf-8-sig", newline="")


def _clicks(path: Path, text: IO[str]) -> Iterator[Click]:
    rows = csv.DictReader(text)
    columns = _columns(path, rows.fieldnames or ())
    at, session, item = columns["at"], columns["session"], columns["item"]
    split, event = columns.get("split"), columns.get("event")
    for row in rows:
        try:
            yield Click(
                moment(row[at]),
                row[session],
                row[item],
                WEIGHTS.get(row[event], 1.0) if event else 1.0,
                row[split].strip() if split else "",
            )
        except (ValueError, TypeError, AttributeError) as error:
            raise Unreadable(f"{path}:{rows.line_num}: {error}.") from None


def _columns(path: Path, header: Sequence[str]) -> dict[str, str]:
    given = {name.strip().lower(): name for name in header}
    found = {
        ours: given[theirs]
        for ours, names in _NAMES.items()
        if (theirs := next((name for name in names if name in given), None)) is not None
    }
    if missing := {"at", "session", "item"} - found.keys():
        raise Unreadable(
            f"{path}: the first line has no column for {', '.join(sorted(missing))}; it has {', '.join(header)}. "
            "Call them ts, session and item."
        )
    return found


def moment(text: str) -> int:
    """Milliseconds, from seconds, milliseconds or ISO 8601 (UTC where it names no zone)."""
    try:
        number = float(text)
    except ValueError:
        time = datetime.fromisoformat(text.strip())
        return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
    return round(number if abs(number) >= _MS_FROM else number * 1000)
