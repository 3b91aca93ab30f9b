"""What `KafkaReader` asks of a client: to fetch. Everything slow or rare is asked of the `Desk` instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from state.records import Record, TopicPartition


class Found(NamedTuple):
    """What lay between two positions of one partition; `size` is bytes of keys and values."""

    tp: TopicPartition
    start: int
    end: int
    records: Sequence[Record]
    size: int


class Quiet(NamedTuple):
    """Nothing was there at or after `offset` when `began` (wall seconds)."""

    offset: int
    began: float


class Lost(Exception):
    """A position that the log no longer or not yet has."""

    def __init__(self, tp: TopicPartition, offset: int) -> None:
        super().__init__(f"{tp.topic} {tp.partition}: offset {offset}")
        self.tp = tp
        self.offset = offset


class Fetching(Protocol):
    """One client that reads assigned partitions. `assign` and `fetch` are called by one thread only."""

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read these and no others. Those that are read already go on where they are."""

    def fetch(self, seconds: float, records_max: int) -> list[Found]:
        """What has arrived, waiting for it at most so long. Raises `Lost`, and `LogError` for what needs a person."""

    def quiet(self) -> Mapping[TopicPartition, Quiet]:
        """The last finding of nothing for each partition. Any thread."""

    def answered_at(self) -> float:
        """When (monotonic seconds) the partition that waits longest was last answered for. Any thread."""

    def doubtful(self) -> Mapping[TopicPartition, int]:
        """Partitions whose leader is new and may not know its own end yet, each with the number of the doubt."""

    def settle(self, tp: TopicPartition, doubt: int, end: int) -> None:
        """The leader says that this is its end: findings of nothing count again from there on."""

    def close(self) -> None: ...


Notice = Callable[[], None]
