"""Reading one partition from an offset on."""

from __future__ import annotations

import os
from pathlib import Path

from connectors.log import frames
from connectors.log.folders import partition_folder, segment, segments
from state.records import LogError, Record, TopicPartition

_CHUNK = 256 << 10


class Cursor:
    """A place in a partition.  Raises `LogError` where the offset is not there (any more, or yet)."""

    def __init__(self, root: Path, tp: TopicPartition, offset: int) -> None:
        self._tp = tp
        self._folder = partition_folder(root, tp)
        self.offset = offset
        self._file = -1
        self._first = 0
        self._place = 0
        self._seek()

    def read(self, records_max: int) -> list[Record]:
        """The next records that are there; empty at the end."""
        found: list[Record] = []
        while len(found) < records_max:
            if self._file < 0 and not self._enter(self.offset):
                break
            raw = os.pread(self._file, _CHUNK, self._place)
            if not raw:
                if not self._enter(self.offset):
                    break
                continue
            if not self._take(raw, records_max, found) or (found and len(raw) < _CHUNK):
                break  # after a short read there is nothing more, as far as this call is concerned
        return found

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _take(self, raw: bytes, records_max: int, found: list[Record]) -> bool:
        """Whole frames out of these bytes; whether to read on."""
        place, whole = 0, len(raw)
        while place < whole and len(found) < records_max:
            try:
                frame = frames.decode(raw, place)
            except frames.Torn:
                if place == 0 and whole == _CHUNK:
                    raw = os.pread(self._file, frames.HEADER.size + frames.HEADER.unpack_from(raw)[1], self._place)
                    if len(raw) <= whole:
                        return False
                    whole = len(raw)
                    continue
                self._place += place
                return whole == _CHUNK and place > 0
            except frames.Damaged:
                self._place += place
                return self._damaged()
            if frame.end > self.offset:
                records = frames.records(frame, self.offset)
                room = records_max - len(found)
                found += records[:room]
                if len(records) > room:  # the rest of this frame is for the next call
                    self.offset = records[room].offset
                    self._place += place
                    return False
                self.offset = frame.end
            place += frame.size
        self._place += place
        return True

    def _damaged(self) -> bool:
        size = os.fstat(self._file).st_size
        rest = os.pread(self._file, size - self._place, self._place)
        later = any(first > self._first for first in segments(self._folder))
        if later or _frame_behind(rest):
            raise LogError(
                f"{self._tp.topic}/{self._tp.partition}: the log is damaged after offset {self.offset - 1} (file "
                f"{segment(self._folder, self._first).name}, byte {self._place}). Put the file back from a backup; "
                "nothing is read past the damage, so that nothing is skipped unseen."
            )
        return False  # a torn tail: the next append cuts it

    def _seek(self) -> None:
        known = segments(self._folder)
        beginning = known[0] if known else 0
        if self.offset < beginning:
            raise LogError(
                f"{self._tp.topic}/{self._tp.partition}: offset {self.offset} is no longer there, the log begins at "
                f"{beginning}. Start from what there is with `[start] at` on a fresh data_dir, or put the files back."
            )
        inside = [first for first in known if first <= self.offset]
        if inside and not self._enter(inside[-1]):
            return
        end = end_of(self._folder)
        if self.offset > end:
            raise LogError(
                f"{self._tp.topic}/{self._tp.partition}: offset {self.offset} is not there yet, the log ends at {end}. "
                "Is this the log that the data folder belongs to? Put the right one in its place."
            )

    def _enter(self, first: int) -> bool:
        """Go on in the segment that begins here, if there is one."""
        if self._file >= 0 and first == self._first:
            return False
        try:
            opened = os.open(segment(self._folder, first), os.O_RDONLY)
        except FileNotFoundError:
            return False
        self.close()
        self._file, self._first, self._place = opened, first, 0
        return True


class End:
    """Where a partition ends, looked for from where it was found last: a segment holds many frames."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._first = -1
        self._place = self._end = 0

    def find(self) -> int:
        """The offset that the next record gets."""
        known = segments(self._folder)
        if not known:
            return 0
        with segment(self._folder, known[-1]).open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            if known[-1] != self._first or size < self._place:
                self._first, self._place, self._end = known[-1], 0, known[-1]
            opened.seek(self._place)
            while len(header := opened.read(frames.HEADER.size)) == frames.HEADER.size:
                magic, length, _, start, count, _ = frames.HEADER.unpack(header)
                place = self._place + frames.HEADER.size + length
                if magic != frames.MAGIC or place > size:
                    break
                self._place, self._end = place, start + count
                opened.seek(place)
        return self._end


def end_of(folder: Path) -> int:
    """The offset that the next record of a partition gets."""
    return End(folder).find()


def first_at(folder: Path, at: int) -> int:
    """The first offset whose frame was appended at or after this time (ms); the end where there is none."""
    for first in segments(folder):
        with segment(folder, first).open("rb") as opened:
            while len(header := opened.read(frames.HEADER.size)) == frames.HEADER.size:
                magic, length, _, start, _, time = frames.HEADER.unpack(header)
                if magic != frames.MAGIC:
                    break
                if time >= at:
                    return int(start)
                opened.seek(length, os.SEEK_CUR)
    return end_of(folder)


def _frame_behind(raw: bytes) -> bool:
    place = raw.find(frames.MAGIC, 4)
    while place > 0:
        try:
            frames.decode(raw, place)
        except (frames.Torn, frames.Damaged):
            place = raw.find(frames.MAGIC, place + 1)
        else:
            return True
    return False
