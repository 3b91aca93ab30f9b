"""Reading the embedded log: many partitions, from one's own offsets, woken by the writers."""

from __future__ import annotations

import logging
import time
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from connectors.log import folders
from connectors.log.commits import Commits
from connectors.log.cursor import Cursor
from connectors.log.doorbell import Bell, name
from connectors.log.ending import end_of, first_at
from state.records import Fetched, TopicPartition

log = logging.getLogger("impuls.log")
LOOK_SECONDS = 0.1
TOLD_SECONDS = 30.0


class LogReader:
    """`state.records.Reader` over an embedded log."""

    def __init__(self, root: Path, group: str = "", *, wall: Callable[[], float] = time.time) -> None:
        self._root, self._group, self._wall = root, group, wall
        self._bell = Bell(root)
        self._cursors: dict[TopicPartition, Cursor] = {}
        self._names: dict[bytes, TopicPartition] = {}
        self._waiting: set[TopicPartition] = set()  # may have more to read
        self._look_at = 0.0
        self._last: TopicPartition | None = None  # that records came from
        self._partitions: dict[str, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._commits = Commits(root, group)
        self._told_at = 0.0

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        for tp in [tp for tp, cursor in self._cursors.items() if positions.get(tp) != cursor.offset]:
            self._cursors.pop(tp).close()
        for tp, offset in positions.items():
            if tp not in self._cursors:
                self._cursors[tp] = Cursor(self._root, tp, offset)
        self._names = {name(tp): tp for tp in self._cursors}
        self._bell.listen_to(tp.topic for tp in self._cursors)
        self._waiting.intersection_update(self._cursors)
        self._look_at, self._last = 0.0, None

    def poll(self, records_max: int) -> Sequence[Fetched]:
        rung = self._bell.rung()
        now = self._wall()
        everything = rung is None or b"" in rung or now >= self._look_at or now < self._look_at - 2 * LOOK_SECONDS
        if everything:
            self._look_at = now + LOOK_SECONDS
            self._waiting.update(self._cursors)
        else:
            self._waiting.update(tp for tp in map(self._names.get, rung or ()) if tp is not None)
        looking = sorted(self._waiting)
        # Each gets its share, and those that got none this time come first the next: no backlog holds up the others.
        turn = bisect(looking, self._last) if self._last is not None else 0
        found: list[Fetched] = []
        left = records_max
        for place, tp in enumerate(looking[turn:] + looking[:turn]):
            if left <= 0:
                break
            cursor = self._cursors[tp]
            start, began = cursor.offset, self._wall()
            records = cursor.read(max(1, left // (len(looking) - place)))
            left -= len(records)
            if records:
                self._last = tp
                at_end = cursor.is_at_end()
                if at_end:  # what comes later rings
                    self._waiting.discard(tp)
                found.append(Fetched(tp.topic, tp.partition, start, cursor.offset, records, began if at_end else None))
            else:
                self._waiting.discard(tp)
                found.append(Fetched(tp.topic, tp.partition, start, start, (), began))
        return found

    def wait(self, seconds: float) -> None:
        if not self._waiting:
            self._bell.wait(min(seconds, max(0.0, self._look_at - self._wall())))

    def fileno(self) -> int:
        return self._bell.fileno()

    def partitions(self, topic: str) -> Sequence[int]:
        # A topic of the embedded log keeps the number it was made with.
        count = self._partitions.get(topic) or folders.partitions(self._root, topic)
        self._partitions[topic] = count
        return range(count)

    def looked_at(self, topic: str) -> float:
        return self._wall()

    def beginnings(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: next(iter(folders.segments(self._folder(tp))), 0) for tp in partitions}

    def ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: end_of(self._folder(tp)) for tp in partitions}

    def at_time(self, partitions: Sequence[TopicPartition], timestamp_ms: int) -> dict[TopicPartition, int]:
        return {tp: first_at(self._folder(tp), timestamp_ms) for tp in partitions}

    def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        for tp, offset in positions.items():
            if self._committed.get(tp) == offset:
                continue
            try:
                self._commits.put(tp, offset)
            except OSError as error:  # a full disk; the next commit says it anew
                if self._wall() >= self._told_at:
                    self._told_at = self._wall() + TOLD_SECONDS
                    log.warning("cannot commit", extra={"place": f"{tp.topic}/{tp.partition}", "fact": str(error)})
                return
            self._committed[tp] = offset

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        found = {tp: self._commits.get(tp) for tp in partitions}
        return {tp: offset for tp, offset in found.items() if offset is not None}

    def last_fetch_age_seconds(self) -> float:
        # The log is a folder on this machine: it is looked at ten times a second, or the process is stuck.
        return max(0.0, self._wall() - (self._look_at - LOOK_SECONDS)) if self._look_at else 0.0

    def close(self) -> None:
        for cursor in self._cursors.values():
            cursor.close()
        self._bell.close()
        self._commits.close()

    def _folder(self, tp: TopicPartition) -> Path:
        return folders.partition_folder(self._root, tp)
