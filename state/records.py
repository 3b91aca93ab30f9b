"""What a log gives and takes: records, and the two narrow doors to them.

`Reader` and `Writer` are all that the rest of Impuls knows of Kafka or of the embedded log; both
implement them and pass the same contract tests (`tests/connectors/contract.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec


class TopicPartition(NamedTuple):
    topic: str
    partition: int


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record as the log holds it; nothing of it has been looked at."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int


class Fetched(NamedTuple):
    """What one fetch found in one partition, standing for the offsets `[start, end)`.

    Offsets inside the range without a record (compaction, transaction markers) are gaps the log
    itself made.  `idle_at` is the wall time (seconds) at which the fetch *began* that found nothing
    more, or nothing behind these records; None while there is more to read.  A fetch that found nothing has
    `start == end`.
    """

    topic: str
    partition: int
    start: int
    end: int
    records: Sequence[Record]
    idle_at: float | None


class Ack(NamedTuple):
    """The log's answer for one `Writer.send`; `error` is None when the record is in the log."""

    token: object
    error: str | None


class LogError(RuntimeError):
    """The log cannot serve as asked; the message names the place, the fact and the way out."""


class Reader(Protocol):
    """Reads the partitions it was given, from the offsets it was given."""

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read from these offsets.  Raises `LogError` where an offset is no longer (or not yet) there."""

    def poll(self, records_max: int) -> Sequence[Fetched]:
        """What has arrived, at most `records_max` records.  Never blocks.

        While a partition is at its end it is reported about ten times a second with no records and
        a fresh `idle_at`.  Raises `LogError` when a position is lost.
        """

    def wait(self, seconds: float) -> None:
        """Sleep until `poll` may have something new, at most so long."""

    def fileno(self) -> int:
        """A descriptor that is readable when `poll` may have something new, for event loops."""

    def partitions(self, topic: str) -> Sequence[int]:
        """The partitions of a topic; empty where the topic does not exist.  Only the first question may block."""

    def looked_at(self, topic: str) -> float:
        """The wall time (seconds) as of which `partitions` answers: none had been added by then that it leaves out."""

    def beginnings(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset still there."""

    def ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset the next record will get."""

    def at_time(self, partitions: Sequence[TopicPartition], timestamp_ms: int) -> dict[TopicPartition, int]:
        """The first offset whose record time is at or after this; the end where there is none."""

    def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        """Make progress visible under the reader's group.  Never blocks, may be lost in a crash."""

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """What the group has committed; partitions without a commit are left out."""

    def last_fetch_age_seconds(self) -> float:
        """How long ago a fetch last succeeded, with or without records."""

    def close(self) -> None: ...


class Writer(Protocol):
    """Appends records, in the order given per partition, and says when they are there."""

    def send(self, topic: str, key: bytes | None, value: bytes, token: object = None) -> bool:
        """Hand over one record.  Never blocks; False when the bounded buffer is full: try later.

        Transient faults are retried inside for ever, in order.  A record the log refuses for good
        (too large) comes back as an `Ack` with an error, without harm to those behind it.
        """

    def acknowledged(self) -> Sequence[Ack]:
        """The answers since the last call, for sends that carried a token (not None)."""

    def wait(self, seconds: float) -> None:
        """Sleep until `acknowledged` may have something new, at most so long."""

    def flush(self, seconds: float) -> bool:
        """Wait until all that was handed over is in the log; False when the time was not enough."""

    def close(self) -> None: ...


class TopicSpec(NamedTuple):
    """How a topic of ours is made where it is missing.  `retention_bytes` per partition; 0 for no limit."""

    name: str
    partitions: int
    retention_days: int
    retention_bytes: int = 0
