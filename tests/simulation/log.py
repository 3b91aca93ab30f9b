"""A log in memory for the simulation: what is appended stays; when it is seen and acknowledged is the scheduler's."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from random import Random
from zlib import crc32

from state.records import Ack, Fetched, Record, TopicPartition


class MemoryLog:
    """Topics of a few partitions each; keys as the embedded log places them."""

    def __init__(self, topics: Mapping[str, int]) -> None:
        self.topics = topics
        self.records: dict[TopicPartition, list[Record]] = {
            TopicPartition(topic, partition): [] for topic, count in topics.items() for partition in range(count)
        }

    def append(self, topic: str, key: bytes, value: bytes, wall: float) -> TopicPartition:
        tp = TopicPartition(topic, crc32(key) % self.topics[topic])
        rows = self.records[tp]
        rows.append(Record(len(rows), key, value, round(wall * 1000)))
        return tp

    def values(self, topic: str) -> list[bytes]:
        return [row.value or b"" for tp, rows in self.records.items() if tp.topic == topic for row in rows]


class MemoryReader:
    """`state.records.Reader`, as far as a source uses it.  Each poll sees some partitions, and of each a part."""

    def __init__(self, log: MemoryLog, chance: Random) -> None:
        self._log, self._chance = log, chance
        self._positions: dict[TopicPartition, int] = {}
        self.now = 0.0
        self.hurries = False  # see all there is, to come to an end

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self._positions = dict(positions)

    def poll(self, records_max: int) -> Sequence[Fetched]:
        found = []
        for tp, start in self._positions.items():
            if not self.hurries and self._chance.random() < 0.4:
                continue
            rows = self._log.records[tp][start:]
            if not rows:
                found.append(Fetched(tp.topic, tp.partition, start, start, (), self.now))
                continue
            some = rows if self.hurries else rows[: self._chance.randint(1, 4)]
            end = start + len(some)
            self._positions[tp] = end
            found.append(Fetched(tp.topic, tp.partition, start, end, some, None))
        return found


class MemoryWriter:
    """`state.records.Writer`, as far as the publisher uses it: in order, with acknowledgements that take their time."""

    def __init__(self, log: MemoryLog, chance: Random) -> None:
        self._log, self._chance = log, chance
        self._waiting: deque[tuple[str, bytes, bytes, object]] = deque()
        self._acks: deque[Ack] = deque()
        self.now = 0.0
        self.hurries = False

    def send(self, topic: str, key: bytes | None, value: bytes, token: object = None) -> bool:
        if len(self._waiting) >= 8:
            return False
        self._waiting.append((topic, key or b"", value, token))
        return True

    def acknowledged(self) -> Sequence[Ack]:
        self.work()
        taken = []
        while self._acks and (self.hurries or self._chance.random() < 0.6):
            taken.append(self._acks.popleft())
        return taken

    def work(self) -> None:
        """Append some of what was handed over."""
        while self._waiting and (self.hurries or self._chance.random() < 0.7):
            topic, key, value, token = self._waiting.popleft()
            self._log.append(topic, key, value, self.now)
            self._acks.append(Ack(token, None))
