"""Appending to one partition, with other processes doing the same."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from connectors.log import frames
from connectors.log.folders import SUFFIX, partition_folder, segment, segments
from state.records import LogError, TopicPartition

SEGMENT_BYTES_MAX = 64 << 20
_CHUNK = 4 << 20


class Appender:
    """Appends frames under the partition's lock.  A torn tail, left by a crash, is cut before the first."""

    def __init__(
        self, root: Path, tp: TopicPartition, *, fsync: bool, segment_bytes_max: int = SEGMENT_BYTES_MAX
    ) -> None:
        self._tp = tp
        self._folder = partition_folder(root, tp)
        self._name = str(self._folder)
        self._fsync = fsync
        self._segment_bytes_max = segment_bytes_max
        self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        self._file = -1
        self._first = -1
        self._size = 0  # up to here the segment is known to hold whole frames
        self._next = 0

    def append(self, at: int, records: Sequence[tuple[bytes | None, bytes | None]]) -> int:
        """Append records as one frame; the offset of the first.  Raises `OSError` when the disk does not take it."""
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            self._find_end()
            start = self._next
            raw, count = frames.encode(start, at, records)
            if self._size and self._size + len(raw) > self._segment_bytes_max:
                self._open(start)
            self._write(raw)
            self._size += len(raw)
            self._next += count
            if self._fsync:
                os.fdatasync(self._file)
            return start
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        for descriptor in (self._file, self._lock):
            if descriptor >= 0:
                os.close(descriptor)

    def _write(self, raw: bytes) -> None:
        try:
            written = os.pwrite(self._file, raw, self._size)
            if written < len(raw):
                raise OSError("the disk took only a part")
        except OSError:
            os.ftruncate(self._file, self._size)
            raise

    def _find_end(self) -> None:
        """Where the last whole frame ends; others may have appended since we last looked."""
        if self._file < 0 or os.path.exists(f"{self._name}/{self._next:020}{SUFFIX}"):  # noqa: PTH110 (a fifth of the time)
            known = segments(self._folder)
            last = known[-1] if known else 0
            if last != self._first:
                self._open(last)
        size = os.fstat(self._file).st_size
        while self._size < size:
            raw = os.pread(self._file, min(_CHUNK, size - self._size), self._size)
            advanced = self._take(raw)
            if not advanced:
                if len(raw) < size - self._size and len(raw) == _CHUNK:
                    raw = os.pread(self._file, size - self._size, self._size)
                    if self._take(raw):
                        continue
                self._cut(raw)
                return

    def _take(self, raw: bytes) -> int:
        place = 0
        try:
            while place < len(raw):
                frame = frames.decode(raw, place)
                self._next = frame.end
                place += frame.size
        except (frames.Torn, frames.Damaged):
            pass
        self._size += place
        return place

    def _cut(self, raw: bytes) -> None:
        """What follows is no whole frame.  We hold the lock, so nobody is writing it: it is a crash's torn tail."""
        if raw.find(frames.MAGIC, 4) > 0 and _holds_frame(raw):
            raise LogError(
                f"{self._folder}: damaged at byte {self._size} of segment {self._first}, with whole records behind it. "
                "Put the file back from a backup; nothing is appended before that, so that nothing is lost."
            )
        os.ftruncate(self._file, self._size)

    def _open(self, first: int) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = os.open(segment(self._folder, first), os.O_RDWR | os.O_CREAT, 0o600)
        self._first, self._size, self._next = first, 0, first
        if self._fsync:
            folder = os.open(self._folder, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)


def _holds_frame(raw: bytes) -> bool:
    place = raw.find(frames.MAGIC, 4)
    while place > 0:
        try:
            frames.decode(raw, place)
        except (frames.Torn, frames.Damaged):
            place = raw.find(frames.MAGIC, place + 1)
        else:
            return True
    return False
