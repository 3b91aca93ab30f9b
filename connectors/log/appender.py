"""Appending to one partition, with other processes doing the same."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from connectors.log import ending, frames, head
from connectors.log.folders import SUFFIX, partition_folder, segment
from connectors.log.head import Head
from state.files import sync_folder
from state.records import LogError, TopicPartition

SEGMENT_BYTES_MAX = 64 << 20
SEGMENT_AGE_MS_MAX = 24 * 3_600_000  # so that retention by age holds to the day, however slowly a topic fills


class Appender:
    """Appends frames under the partition's lock.  A torn tail, left by a killed writer, is cut before the first.

    Threads need one each.
    """

    def __init__(
        self, root: Path, tp: TopicPartition, *, fsync: bool, segment_bytes_max: int = SEGMENT_BYTES_MAX
    ) -> None:
        self._folder = partition_folder(root, tp)
        self._name = str(self._folder)
        self._fsync = fsync
        self._segment_bytes_max = segment_bytes_max
        self._head = head.open_head(self._folder)
        self._end: Head | None = None
        self._file, self._first = -1, -1
        self._began = 0  # when the first frame of the segment was appended; 0 for none
        self._unsynced: tuple[bytes, Head] | None = None

    def append(self, at: int, records: Sequence[tuple[bytes | None, bytes | None]]) -> int:
        """Append records as one frame; the offset of the first.

        Raises `OSError` when the disk does not take it, and is then to be called again with the same records;
        `LogError` when the partition is damaged.
        """
        with head.locked(self._head):
            if self._unsynced is not None:
                return self._sync_again()
            end = self._find_end()
            raw, count = frames.encode(end.next, at, records)
            if end.size and (end.size + len(raw) > self._segment_bytes_max or at - self._began >= SEGMENT_AGE_MS_MAX):
                end = self._roll(end)
            self._write(raw, end.size)
            self._began = self._began or at
            self._end = Head(end.first, end.size + len(raw), end.next + count)
            if self._fsync:
                self._unsynced = raw, end
                os.fdatasync(self._file)
                self._unsynced = None
            head.write(self._head, self._end)
            return end.next

    def settle(self) -> int:
        """Cut a torn tail and write the head; the offset the next record gets."""
        with head.locked(self._head):
            return self._find_end().next

    def roll(self, older_than: float) -> None:
        """Begin a new segment if nothing was appended to the last one since (seconds), so that it can be deleted."""
        with head.locked(self._head):
            end = self._find_end()
            if end.size and os.fstat(self._file).st_mtime < older_than:
                self._roll(end)

    def close(self) -> None:
        for descriptor in (self._file, self._head):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._head = -1

    def _find_end(self) -> Head:
        """Where the last whole frame ends, with that segment open; others may have appended since we last looked."""
        told = head.read(self._head)
        end = told if told is not None and told == self._end and self._is_the_end(told) else self._look(told)
        self._end = end
        return end

    def _is_the_end(self, told: Head) -> bool:
        if os.fstat(self._file).st_size != told.size:
            return False
        following = f"{self._name}/{told.next:020}{SUFFIX}"
        return told.next == told.first or not os.path.exists(following)  # noqa: PTH110 (a fifth of the time)

    def _look(self, told: Head | None) -> Head:
        end = ending.find_end(self._folder, told)
        if end.first != self._first:
            self._open(end.first)
        size = os.fstat(self._file).st_size
        if size > end.size:
            self._cut(end, size)
        if end != told:
            head.write(self._head, end)
        return end

    def _cut(self, end: Head, size: int) -> None:
        """What follows is no whole frame.  We hold the lock, so nobody is writing it: it is a crash's torn tail."""
        if frames.is_followed(os.pread(self._file, size - end.size, end.size)):
            raise LogError(
                f"{self._folder}: damaged at byte {end.size} of segment {segment(self._folder, end.first).name}, with "
                "whole records behind it. Put the file back from a backup; nothing is appended before that, so that "
                "nothing is lost."
            )
        os.ftruncate(self._file, end.size)

    def _write(self, raw: bytes, place: int) -> None:
        try:
            if os.pwrite(self._file, raw, place) < len(raw):
                raise OSError("the disk took only a part")
        except OSError:
            os.ftruncate(self._file, place)
            raise

    def _sync_again(self) -> int:
        """A disk that failed to sync may forget what it was given: give it again, at the same place."""
        assert self._unsynced is not None
        raw, end = self._unsynced
        os.pwrite(self._file, raw, end.size)
        os.fdatasync(self._file)
        self._unsynced = None
        told = head.read(self._head)
        if told is None or not told.current or told.next <= end.next:  # else others went on behind it
            assert self._end is not None
            head.write(self._head, self._end)
        return end.next

    def _roll(self, end: Head) -> Head:
        if self._fsync:
            os.fdatasync(self._file)  # also what a killed writer left there unsynced
        self._open(end.next)
        self._end = Head(end.next, 0, end.next)
        head.write(self._head, self._end)
        return self._end

    def _open(self, first: int) -> None:
        opened = os.open(segment(self._folder, first), os.O_RDWR | os.O_CREAT, 0o600)
        if self._file >= 0:
            os.close(self._file)
        self._file, self._first = opened, first
        header = os.pread(opened, frames.HEADER.size, 0)
        self._began = int(frames.HEADER.unpack(header)[5]) if len(header) == frames.HEADER.size else 0
        if self._fsync:
            sync_folder(self._folder)
