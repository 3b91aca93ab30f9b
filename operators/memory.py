"""What log and store remember of one customer: all that an explanation is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from state.customer import Assigned, Customer
from state.dead_letters import DeadLetter
from state.decisions import Cause, Decision
from state.decode import Rejected
from state.events import Event
from state.messages import Delivery
from state.records import TopicPartition


class Taken(NamedTuple):
    """One record of hers; `wall` is when it entered the log (milliseconds)."""

    wall: int
    topic: str
    partition: int
    offset: int
    what: Event | Rejected | Delivery | DeadLetter

    @property
    def cause(self) -> Cause:
        return Cause(self.topic, self.partition, self.offset)


class Recalled(NamedTuple):
    """A decision as the store holds it; `wall` is when it was published, None where the log no longer tells."""

    decision: Decision
    wall: int | None


@dataclass(frozen=True)
class Memory:
    """What log and store remember of one customer.

    `inputs` in the order they entered the log.  `record` is what the store knows of her now, None where there is
    nothing or the past is asked for.  `kept_since`: older decisions are no longer kept.  `failures` are dead letters of
    flows whose own code failed for her.  `arms` are those that she got, perhaps while their shares
    were others.
    """

    customer: str
    inputs: Sequence[Taken]
    decisions: Mapping[str, Recalled]
    watermarks: Mapping[TopicPartition, int]
    record: Customer | None = None
    kept_since: int = 0
    failures: Sequence[DeadLetter] = ()
    stopped: frozenset[str] = frozenset()
    notes: Sequence[str] = ()
    arms: Mapping[str, Assigned] = field(default_factory=dict[str, Assigned])
