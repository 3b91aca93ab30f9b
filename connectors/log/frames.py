"""Frames: how a batch of records lies in a segment file.

A frame is written with one call and carries its length and checksum, so what a crash leaves is a
whole number of frames and at most one torn tail.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from crc32c import crc32c

from state.records import Record

MAGIC = b"IMPL"
# magic, bytes of the body, checksum of all that follows, first offset, records, wall time (ms)
HEADER = struct.Struct(">4sIIQIQ")
_CHECKED = struct.Struct(">QIQ")
_LENGTHS = struct.Struct(">ii")
_NONE = -1


class Frame(NamedTuple):
    """A whole frame: its records' offsets are `[start, end)`; `size` counts its bytes in the file."""

    start: int
    end: int
    at: int
    size: int
    body: bytes


class Torn(Exception):
    """The bytes end before the frame does."""


class Damaged(Exception):
    """The bytes are not a frame as it was written."""


def encode(start: int, at: int, records: Iterable[tuple[bytes | None, bytes | None]]) -> tuple[bytes, int]:
    """One frame, and how many records it holds."""
    parts: list[bytes] = []
    count = 0
    for key, value in records:
        parts += (
            _LENGTHS.pack(_NONE if key is None else len(key), _NONE if value is None else len(value)),
            key or b"",
            value or b"",
        )
        count += 1
    body = b"".join(parts)
    checksum = crc32c(body, crc32c(_CHECKED.pack(start, count, at)))
    return HEADER.pack(MAGIC, len(body), checksum, start, count, at) + body, count


def decode(raw: bytes, at: int, start: int) -> Frame:
    """The frame that begins at this place, with the record of this offset.  Raises `Torn` or `Damaged`."""
    if len(raw) - at < HEADER.size:
        raise Torn
    magic, length, checksum, first, count, time = HEADER.unpack_from(raw, at)
    if magic != MAGIC or first != start or not count:
        raise Damaged
    size = HEADER.size + length
    if len(raw) - at < size:
        raise Torn
    body = raw[at + HEADER.size : at + size]
    if crc32c(body, crc32c(_CHECKED.pack(start, count, time))) != checksum:
        raise Damaged
    return Frame(start, start + count, time, size, body)


def length_of(raw: bytes, at: int) -> int:
    """How many bytes the frame that begins here says it has."""
    return HEADER.size + int(HEADER.unpack_from(raw, at)[1])


def records(frame: Frame, since: int = 0) -> list[Record]:
    """The frame's records from this offset on."""
    found: list[Record] = []
    body, place = frame.body, 0
    for offset in range(frame.start, frame.end):
        key_length, value_length = _LENGTHS.unpack_from(body, place)
        place += _LENGTHS.size
        key = value = None
        if key_length != _NONE:
            key = body[place : place + key_length]
            place += key_length
        if value_length != _NONE:
            value = body[place : place + value_length]
            place += value_length
        if offset >= since:
            found.append(Record(offset, key, value, frame.at))
    return found


def is_followed(raw: bytes) -> bool:
    """Whether a whole frame stands anywhere behind the beginning of these bytes: then they are no torn tail."""
    place = raw.find(MAGIC, 1)
    while place > 0:
        try:
            if len(raw) - place >= HEADER.size:
                decode(raw, place, HEADER.unpack_from(raw, place)[3])
                return True
        except (Torn, Damaged):
            pass
        place = raw.find(MAGIC, place + 1)
    return False
