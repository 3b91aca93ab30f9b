"""Clicks from a file: columns `ts,session,item[,split]`, or RetailRocket's, or those of UCI's Online Retail, whose
orders count as sessions; in any order, gzipped or not.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import inf, isfinite
from pathlib import Path
from typing import IO, NamedTuple

_NAMES = {
    "at": ("ts", "timestamp", "time", "at", "invoicedate"),
    "session": ("session", "session_id", "sessionid", "user", "visitorid", "visitor", "user_id", "invoiceno"),
    "item": ("item", "item_id", "itemid", "product_id", "stockcode"),
    "split": ("split",),
    "event": ("event",),
    "quantity": ("quantity",),
}
WEIGHTS = {"view": 1.0, "addtocart": 3.0, "transaction": 5.0}
_UNITS = ((1e20, 0.0), (1e17, 1e-6), (1e14, 1e-3), (1e11, 1.0), (0.0, 1e3))
"""From which number on it is milliseconds of what: seconds reach 1e11 in the year 5138, milliseconds have passed it in
1973, and so on to nanoseconds; what is larger is no moment."""


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
        rows = csv.DictReader(text)
        try:
            clicks = sorted(_clicks(path, rows), key=lambda click: click.at)
        except (UnicodeDecodeError, csv.Error, EOFError, OSError, zlib.error) as error:
            raise Unreadable(f"{path}, after line {rows.line_num}: {_broken(error)}") from None
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


def _broken(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8. `iconv -f LATIN1 -t UTF-8` makes it so, with the encoding it has after -f."
    if isinstance(error, csv.Error):
        return f"it is no CSV ({error}). Is a quotation mark not closed?"
    if isinstance(error, EOFError | gzip.BadGzipFile | zlib.error):
        return "the compressed data is cut off or damaged. Fetch the file again."
    return f"it cannot be read ({error})."


def _clicks(path: Path, rows: csv.DictReader[str]) -> Iterator[Click]:
    columns = _columns(path, rows.fieldnames or ())
    at, session, item = columns["at"], columns["session"], columns["item"]
    split, event, quantity = columns.get("split"), columns.get("event"), columns.get("quantity")
    for row in rows:
        if quantity and (row[quantity] or "").lstrip().startswith("-"):
            continue  # brought back
        try:
            yield Click(
                moment(_given(row, at)),
                _given(row, session),
                _given(row, item),
                WEIGHTS.get(row[event], 1.0) if event else 1.0,
                (row[split] or "").strip() if split else "",
            )
        except ValueError as error:
            raise Unreadable(f"{path}:{rows.line_num}: {error}") from None


def _given(row: Mapping[str, str | None], column: str) -> str:
    text = row[column]
    if text is None or not text.strip():
        raise ValueError(f"column {column} is empty or missing. Give the line one, or take it out.")
    return text


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
    """Milliseconds, from seconds, milli-, micro- or nanoseconds or ISO 8601 (UTC where it names no zone)."""
    try:
        at = _milliseconds(text)
    except (ValueError, OverflowError):
        at = inf
    if not isfinite(at):
        raise ValueError(f"{text.strip()[:40]} is no time. Give it in seconds since 1970, or as 2026-11-23T10:00:00Z.")
    return round(at)


def _milliseconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        time = datetime.fromisoformat(text.strip())
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000
    unit = next((unit for least, unit in _UNITS if abs(number) >= least), 0.0)
    return number * unit if unit else inf
