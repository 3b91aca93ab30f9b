"""Reading the embedded log: many partitions, from one's own offsets, woken by the writers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from connectors.log import folders
from connectors.log.cursor import Cursor, End, first_at
from connectors.log.doorbell import Bell, name
from state.records import Fetched, TopicPartition

LOOK_SECONDS = 0.1


class LogReader:
    """`state.records.Reader` over an embedded log."""

    def __init__(self, root: Path, group: str = "", *, wall: Callable[[], float] = time.time) -> None:
        self._root, self._group, self._wall = root, group, wall
        self._bell = Bell(root)
        self._cursors: dict[TopicPartition, Cursor] = {}
        self._names: dict[bytes, TopicPartition] = {}
        self._waiting: dict[TopicPartition, None] = {}  # may have more to read; who was read last comes last
        self._look_at = 0.0
        self._ends: dict[TopicPartition, End] = {}
        self._committed: dict[TopicPartition, int] = {}

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        for tp in [tp for tp, cursor in self._cursors.items() if positions.get(tp) != cursor.offset]:
            self._cursors.pop(tp).close()
        for tp, offset in positions.items():
            if tp not in self._cursors:
                self._cursors[tp] = Cursor(self._root, tp, offset)
        self._names = {name(tp): tp for tp in self._cursors}
        self._waiting = {tp: None for tp in self._waiting if tp in self._cursors}
        self._look_at = 0.0

    def poll(self, records_max: int) -> Sequence[Fetched]:
        rung = self._bell.rung()
        now = self._wall()
        everything = rung is None or now >= self._look_at or now < self._look_at - 2 * LOOK_SECONDS
        if everything:
            self._look_at = now + LOOK_SECONDS
            looking = [*self._waiting, *(tp for tp in self._cursors if tp not in self._waiting)]
        else:
            assert rung is not None
            asked = (tp for tp in map(self._names.get, rung) if tp is not None and tp not in self._waiting)
            looking = [*self._waiting, *asked]
        found: list[Fetched] = []
        left = records_max
        for tp in looking:
            if left <= 0:
                self._waiting.setdefault(tp)
                continue
            cursor = self._cursors[tp]
            start, began = cursor.offset, self._wall()
            records = cursor.read(left)
            left -= len(records)
            if records:
                self._waiting.pop(tp, None)
                self._waiting[tp] = None
                found.append(Fetched(tp.topic, tp.partition, start, cursor.offset, records, None))
            elif everything or tp in self._waiting:
                self._waiting.pop(tp, None)
                found.append(Fetched(tp.topic, tp.partition, start, start, (), began))
        return found

    def wait(self, seconds: float) -> None:
        if not self._waiting:
            self._bell.wait(min(seconds, max(0.0, self._look_at - self._wall())))

    def fileno(self) -> int:
        return self._bell.fileno()

    def partitions(self, topic: str) -> Sequence[int]:
        return range(folders.partitions(self._root, topic))

    def beginnings(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: next(iter(folders.segments(self._folder(tp))), 0) for tp in partitions}

    def ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        found = {}
        for tp in partitions:
            end = self._ends.get(tp)
            if end is None:
                end = self._ends[tp] = End(self._folder(tp))
            found[tp] = end.find()
        return found

    def at_time(self, partitions: Sequence[TopicPartition], timestamp_ms: int) -> dict[TopicPartition, int]:
        return {tp: first_at(self._folder(tp), timestamp_ms) for tp in partitions}

    def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        for tp, offset in positions.items():
            if self._committed.get(tp) != offset:
                folders.put(self._commit_file(tp), str(offset))
                self._committed[tp] = offset

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        found = {}
        for tp in partitions:
            try:
                found[tp] = int(self._commit_file(tp).read_text())
            except (FileNotFoundError, ValueError):
                continue
        return found

    def last_fetch_age_seconds(self) -> float:
        # The log is a folder on this machine: it is looked at ten times a second, or the process is stuck.
        return max(0.0, self._wall() - (self._look_at - LOOK_SECONDS)) if self._look_at else 0.0

    def close(self) -> None:
        for cursor in self._cursors.values():
            cursor.close()
        self._bell.close()

    def _folder(self, tp: TopicPartition) -> Path:
        return folders.partition_folder(self._root, tp)

    def _commit_file(self, tp: TopicPartition) -> Path:
        return self._root / "groups" / (self._group or "none") / f"{tp.topic}.{tp.partition}"
