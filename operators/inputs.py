"""What travels from the sources to the shards: plain tuples of bytes and numbers, cheap to exchange."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from operators.clock import Report
from state.records import Record

DELIVERIES = "deliveries"
INTERNAL = "internal"
OURS = frozenset({DELIVERIES, INTERNAL})


class SubBatch(NamedTuple):
    """One shard's share of the offsets `[start, end)` of a partition.

    `reached` is the greatest event time read from the partition so far; `mark` sets the clock once the
    records are taken in (replay of files only).
    """

    topic: str
    partition: int
    start: int
    end: int
    records: Sequence[Record]
    reached: int
    mark: int | None = None


class Progress(NamedTuple):
    """How far a process has read, for a shard that may have had none of it."""

    report: Report
    ranges: Sequence[tuple[str, int, int, int, int]]  # topic, partition, start, end, reached


class Meet(NamedTuple):
    """Replay of files: say now what you have for the other shards."""

    round: int


Input = SubBatch | Progress | Meet
