"""Dead letters for what a shard sets aside: a record it cannot use, a transition that a flow's own code failed at."""

from __future__ import annotations

import base64

from operators.effects import FlowFault
from state import event_codec
from state.dead_letters import DeadLetter, dead_letter
from state.ids import Ids
from state.instants import format_instant
from state.records import Record, TopicPartition

TIMER = "timer"


def record(ids: Ids, tp: TopicPartition, record: Record, reason: str, error: str, wall: int) -> DeadLetter:
    """A record that is not what its topic is for."""
    return dead_letter(
        id=ids.set_aside(tp.topic, str(tp.partition), str(record.offset)),
        reason=reason,
        topic=tp.topic,
        partition=tp.partition,
        offset=record.offset,
        value=record.value,
        error=error,
        key=record.key,
        at=format_instant(wall),
    )


def flow(
    ids: Ids, customer: str, fault: FlowFault, shard: int, at: tuple[TopicPartition, Record] | None, wall: int
) -> DeadLetter:
    """One flow's transition, with the traceback; at a wake there is no record, and its place is the timer's."""
    tp, read = at if at is not None else (TopicPartition(TIMER, shard), None)
    offset = read.offset if read is not None else fault.due
    parts = (fault.flow, fault.passage, fault.wait, tp.topic, str(tp.partition), str(offset), fault.fact.id)
    return dead_letter(
        id=ids.set_aside(*parts),
        reason="flow_error",
        topic=tp.topic,
        partition=tp.partition,
        offset=offset,
        value=read.value if read is not None else b"",
        error=fault.error,
        key=read.key if read is not None else customer.encode(),
        at=format_instant(wall),
        flow=fault.flow,
        customer=customer,
        wait=fault.wait,
        passage=fault.passage,
        fact=base64.b64encode(event_codec.encode(fault.fact)).decode(),
    )
