"""What a courier learns from the log before it calls anybody: which messages are open, and what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from state.messages import Delivery
from state.records import Reader, Record, TopicPartition

LOOK_BACK_MS = 12 * 60_000  # how long a result may take into the log, and ten minutes
RECORDS_MAX = 500  # a poll
FIRST_MAX = 64  # of the open messages of one poll

Key = tuple[str, int]  # message id and attempt
_delivery = msgspec.json.Decoder(Delivery)


@dataclass(slots=True)
class Past:
    """`first` holds messages that are not committed, at least one of each partition that has any, and `next` the
    offsets behind them; `settled` are the attempts with a result, in the order of the log."""

    first: list[tuple[TopicPartition, Record]] = field(default_factory=list)
    next: dict[TopicPartition, int] = field(default_factory=dict)
    settled: list[Key] = field(default_factory=list)
    starts: dict[Key, int] = field(default_factory=dict)


async def catch_up(reader: Reader, partitions: Sequence[TopicPartition], results_topic: str, wall_ms: int) -> Past:
    """Read what is needed to go on where a courier stopped or died, and stand behind it.

    A result is in the partition of its message (both topics are partitioned alike) and younger than it, so each
    partition is read from before the time of its own first open message.
    """
    past = Past()
    beginnings, committed = reader.beginnings(partitions), reader.committed(partitions)
    starts = {tp: max(committed.get(tp, 0), beginnings[tp]) for tp in partitions}
    ends = reader.ends(partitions)
    past.next = dict(starts)
    for tp, record in await _read(reader, starts, ends, one_each=True):
        past.first.append((tp, record))
        past.next[tp] = record.offset + 1
    begins: dict[TopicPartition, int] = {}
    for tp in partitions:
        since = min((record.timestamp_ms for at, record in past.first if at == tp), default=wall_ms) - LOOK_BACK_MS
        begins |= reader.at_time([TopicPartition(results_topic, tp.partition)], since)
    for _, record in await _read(reader, begins, reader.ends(list(begins))):
        _learn(past, record)
    reader.assign(past.next)
    return past


def _learn(past: Past, record: Record) -> None:
    try:
        delivery = _delivery.decode(record.value or b"")
    except msgspec.MsgspecError:
        return
    key = delivery.message_id, delivery.attempt
    if delivery.result == "started":
        past.starts[key] = past.starts.get(key, 0) + 1
    else:
        past.settled.append(key)


async def _read(
    reader: Reader,
    starts: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
    *,
    one_each: bool = False,
) -> list[tuple[TopicPartition, Record]]:
    """All between two places; with `one_each`, only until every partition has given something."""
    reader.assign(starts)
    found: list[tuple[TopicPartition, Record]] = []
    places = dict(starts)
    given: set[TopicPartition] = set()
    while any(places[tp] < ends[tp] and not (one_each and tp in given) for tp in starts):
        polled = reader.poll(FIRST_MAX if one_each else RECORDS_MAX)
        for fetched in polled:
            tp = TopicPartition(fetched.topic, fetched.partition)
            if tp in places:
                places[tp] = max(places[tp], fetched.end)
                found += [(tp, record) for record in fetched.records]
                given |= {tp} if fetched.records else set()
        await asyncio.sleep(0 if any(fetched.records for fetched in polled) else 0.002)
    return found
