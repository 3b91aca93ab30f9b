"""Finding where a partition ends, from its head and from the frames themselves."""

from __future__ import annotations

import os
from pathlib import Path

from connectors.log import frames
from connectors.log.folders import segment, segments
from connectors.log.head import Head, peek
from state.records import LogError

CLOCK_STEP_MS = 2 * 3_600_000
_CHUNK = 4 << 20


def end_of(folder: Path) -> int:
    """The offset that the next record of a partition gets.  For those who only read; takes no lock."""
    return current_end(folder).next


def current_end(folder: Path) -> Head:
    known = peek(folder)
    while True:
        try:
            return find_end(folder, known)
        except LogError:
            before, known = known, peek(folder)
            if known == before:  # else retention was there in between
                raise


def find_end(folder: Path, known: Head | None) -> Head:
    """Where the last whole frame ends.  Raises `LogError` where the files are less than the head says."""
    if known is None or not known.current:
        there = segments(folder)
        if not there and known is not None and known.next:
            raise shorter(folder, known)
        first = there[-1] if there else 0
        end = Head(first, 0, first)
    else:
        end = known
    while True:
        try:
            descriptor = os.open(segment(folder, end.first), os.O_RDONLY)
        except FileNotFoundError:
            if end.next:
                raise shorter(folder, end) from None
            return end
        try:
            if os.fstat(descriptor).st_size < end.size:
                raise shorter(folder, end)
            end = walk(descriptor, end)
        finally:
            os.close(descriptor)
        if end.next == end.first or not segment(folder, end.next).exists():
            return end
        end = Head(end.next, 0, end.next)  # whoever began that segment was killed before it could say so


def walk(descriptor: int, end: Head) -> Head:
    """Over the whole frames behind this place in its segment."""
    size, following = end.size, end.next
    length = _CHUNK
    while raw := os.pread(descriptor, length, size):
        place = 0
        try:
            while place < len(raw):
                frame = frames.decode(raw, place, following)
                following = frame.end
                place += frame.size
        except frames.Torn:
            if not place:
                left = os.fstat(descriptor).st_size - size
                if len(raw) >= left:
                    break
                if len(raw) == length:  # larger than we read at once, else somebody has gone on writing it since
                    length = min(left, max(2 * length, frames.length_of(raw, 0)))
                continue
        except frames.Damaged:
            size += place
            break
        size += place
        length = _CHUNK
    return Head(end.first, size, following)


def first_at(folder: Path, at: int) -> int:
    """The first offset whose frame was appended at or after this time (ms); the end where there is none."""
    there = segments(folder)
    begun = [(first, _begun(folder, first)) for first in there]
    # A segment whose successor began well before needs no look; the machine's clock may have been set back by less.
    since = max((first for first, time in begun if 0 < time < at - CLOCK_STEP_MS), default=0)
    for first in (first for first in there if first >= since):
        found = _first_in(segment(folder, first), at)
        if found is not None:
            return found
    return end_of(folder)


def _begun(folder: Path, first: int) -> int:
    """When the first frame of a segment was appended; 0 where there is none."""
    try:
        with segment(folder, first).open("rb") as opened:
            raw = opened.read(frames.HEADER.size)
    except FileNotFoundError:  # retention was there
        return 0
    return int(frames.HEADER.unpack(raw)[5]) if len(raw) == frames.HEADER.size else 0


def _first_in(path: Path, at: int) -> int | None:
    try:
        opened = path.open("rb", buffering=1 << 16)
    except FileNotFoundError:
        return None
    with opened:
        while len(header := opened.read(frames.HEADER.size)) == frames.HEADER.size:
            magic, length, _, start, _, time = frames.HEADER.unpack(header)
            if magic != frames.MAGIC:
                break  # whoever reads from here on is told of the damage
            if time >= at:
                return int(start)
            opened.seek(length, os.SEEK_CUR)
    return None


def shorter(folder: Path, known: Head) -> LogError:
    return LogError(
        f"{folder}: the log was written up to offset {known.next} (segment {segment(folder, known.first).name}, "
        f"{known.size} bytes), and the file is not there or shorter. Put the files back from a backup; or, with every "
        f'process stopped, delete the file "head" in that folder to go on with the records that are left.'
    )
