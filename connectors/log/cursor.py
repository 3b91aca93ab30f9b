"""Reading one partition from an offset on."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from connectors.log import frames
from connectors.log.ending import current_end
from connectors.log.folders import partition_folder, segment, segments
from connectors.log.head import NAME, Head, read
from state.records import LogError, Record, TopicPartition

_CHUNK_MIN, _CHUNK_MAX = 16 << 10, 256 << 10  # who follows the end reads little, and pays for the room it asks for


class Cursor:
    """A place in a partition.

    Raises `LogError` where the offset is not there (any more, or yet), and where the files are damaged: nothing is
    read past the damage, so that nothing is skipped unseen.
    """

    def __init__(self, root: Path, tp: TopicPartition, offset: int) -> None:
        self._tp = tp
        self._folder = partition_folder(root, tp)
        self.offset = offset  # of the next record to give out
        self._ready: deque[Record] = deque()  # decoded, not given out yet
        self._file = -1
        self._first = -1
        self._place = 0  # in the file, behind the last frame that was looked at
        self._following = offset  # the offset of the frame at this place
        self._at_rest = False  # the last look gave all that was there
        self._chunk = _CHUNK_MIN
        self._doubted = (-1, -1)
        self._head = -1
        self._seek()

    def read(self, records_max: int) -> list[Record]:
        """The next records that are there; empty at the end."""
        ready = self._ready
        found: list[Record] = []
        while len(found) < records_max:
            if not ready and ((found and self._at_rest) or not self._fill()):
                break
            while ready and len(found) < records_max:
                found.append(ready.popleft())
        if found:
            self.offset = ready[0].offset if ready else self._following
        return found

    def is_at_end(self) -> bool:
        """Whether all has been given out that was acknowledged by now, as far as one glance can tell."""
        if self._ready or not self._at_rest:
            return False
        known = self._read_head()
        return known is not None and known.current and known.next == self._following

    def close(self) -> None:
        for descriptor in (self._file, self._head):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._head = -1

    # -- from the files

    def _fill(self) -> bool:
        """Decode what one look at the file gives; whether it gave anything."""
        while True:
            asked = self._chunk
            raw = os.pread(self._file, asked, self._place) if self._file >= 0 else b""
            self._at_rest = len(raw) < asked
            self._chunk = _CHUNK_MIN if self._at_rest else min(asked * 4, _CHUNK_MAX)
            if self._decode(raw):
                return True
            if len(raw) == asked and frames.length_of(raw, 0) > asked:
                left = os.fstat(self._file).st_size - self._place
                if self._decode(os.pread(self._file, min(left, frames.length_of(raw, 0)), self._place)):
                    return True
            if not self._go_on(raw):
                return False

    def _decode(self, raw: bytes) -> bool:
        """The whole frames at the beginning of these bytes; whether there was one to give out."""
        place, since = 0, self.offset
        try:
            while place < len(raw):
                frame = frames.decode(raw, place, self._following)
                if frame.end > since:
                    self._ready.extend(frames.records(frame, since))
                self._following = frame.end
                place += frame.size
        except (frames.Torn, frames.Damaged):
            pass
        self._place += place
        return place > 0

    def _go_on(self, raw: bytes) -> bool:
        """No whole frame is here: go to the next segment, or say that this is the end.  Raises `LogError`."""
        if not raw and self._enter(self._following):
            return True
        if self._is_the_end(raw):
            self._doubted = (-1, -1)
            return False
        here = self._first, self._place
        if here != self._doubted:
            self._doubted = here
            return True  # there is more, so look again: it may have been written since we looked
        there = segments(self._folder)
        if there and self._following < there[0]:
            raise self._gone(there[0])
        raise self._damaged()

    def _is_the_end(self, raw: bytes) -> bool:
        known = self._read_head()
        if known is not None and known.current:
            if self._first < 0:
                return known.next == self._following
            # A segment is made before the head speaks of it, so a reader may be there first.
            return (self._first, self._place) >= (known.first, known.size)
        if any(first > self._first for first in segments(self._folder)):
            return False
        return not raw or not frames.is_followed(self._rest())

    def _read_head(self) -> Head | None:
        if self._head < 0:
            try:
                self._head = os.open(self._folder / NAME, os.O_RDONLY)
            except FileNotFoundError:
                return None
        return read(self._head)

    def _rest(self) -> bytes:
        return os.pread(self._file, os.fstat(self._file).st_size - self._place, self._place)

    def _enter(self, first: int) -> bool:
        """Go on in the segment that begins here, if there is one."""
        if first == self._first:
            return False
        try:
            opened = os.open(segment(self._folder, first), os.O_RDONLY)
        except FileNotFoundError:
            return False
        if self._file >= 0:
            os.close(self._file)
        self._file, self._first, self._place, self._following = opened, first, 0, first
        return True

    def _seek(self) -> None:
        while True:
            there = segments(self._folder)
            if there and self.offset < there[0]:
                raise self._gone(there[0])
            inside = [first for first in there if first <= self.offset]
            if not inside or self._enter(inside[-1]):
                break  # else retention was there in between
        end = current_end(self._folder)
        if self.offset > end.next:
            raise LogError(
                f"{self._name}: offset {self.offset} is not there yet, the log ends at {end.next}. Is this the log "
                "that the data folder belongs to? Put the right one in its place."
            )
        if (self.offset, self._first) == (end.next, end.first):
            self._place, self._following = end.size, end.next
        elif self._file >= 0:
            self._skip()

    def _skip(self) -> None:
        """To the frame that holds our offset, by the headers alone: what is before it was somebody's to check."""
        while raw := os.pread(self._file, _CHUNK_MAX, self._place):
            at = 0
            while len(raw) - at >= frames.HEADER.size:
                magic, length, _, start, count, _ = frames.HEADER.unpack_from(raw, at)
                if magic != frames.MAGIC or start != self._following or start + count > self.offset:
                    self._place += at
                    return
                at += frames.HEADER.size + length
                self._following += count
            if not at:
                return
            self._place += at

    @property
    def _name(self) -> str:
        return f"{self._tp.topic}/{self._tp.partition}"

    def _gone(self, beginning: int) -> LogError:
        return LogError(
            f"{self._name}: offset {self._following} is no longer there, the log begins at {beginning}: retention "
            "deleted records before they were read. Put the files back from a backup, or start from what there is: "
            "name an empty data_dir and choose [start] at."
        )

    def _damaged(self) -> LogError:
        return LogError(
            f"{self._name}: the log is damaged after offset {self._following - 1} (file "
            f"{segment(self._folder, max(self._first, 0))}, byte {self._place}). Put the file back from a backup; "
            "nothing is read past the damage, so that nothing is skipped unseen."
        )
