"""What log and store remember of one customer: all that an explanation is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from state.customer import Assigned, Customer
from state.dead_letters import DeadLetter
from state.decisions import Cause, Decision
from state.decode import Rejected
from state.events import Event
from state.messages import Delivery
from state.records import TopicPartition
from state.words import AnyWord, Forward


class Announced(NamedTuple):
    """An event of somebody who is known says that she was this customer before."""

    known: str
    claim: str
    at: int


class Taken(NamedTuple):
    """One record of hers, or about her other ids; `wall` is when it entered the log (milliseconds)."""

    wall: int
    topic: str
    partition: int
    offset: int
    what: Event | Rejected | Delivery | DeadLetter | Announced | AnyWord

    @property
    def cause(self) -> Cause:
        return Cause(self.topic, self.partition, self.offset)

    @property
    def at(self) -> int | None:
        """The event time of an event, also of one that came for her under another id, or says who she is."""
        if isinstance(self.what, Event | Announced) or (isinstance(self.what, Forward) and self.what.kind == "event"):
            return self.what.at
        return None


class Recalled(NamedTuple):
    """A decision as the store holds it; `wall` is when it was published, None where the log no longer tells."""

    decision: Decision
    wall: int | None


def in_order(inputs: Iterable[Taken], *, live: bool) -> list[Taken]:
    """As they were most likely taken in: each partition in its own order.

    Live, as they entered the log, and of those of one millisecond as they happened.  On the replay clock time is what
    the log has reached, so they are as they happened; what has no time of its own comes after all that had entered the
    log by then.
    """
    reached: dict[TopicPartition, int] = {}
    furthest = 0
    placed: list[tuple[tuple[int, int, str, int, int], Taken]] = []
    for taken in sorted(inputs, key=lambda each: (each.wall, each.topic, each.partition, each.offset)):
        tp, at = TopicPartition(taken.topic, taken.partition), taken.at
        at = max(reached.get(tp, 0), furthest if at is None else at)
        reached[tp], furthest = at, max(furthest, at)
        first, second = (taken.wall, at) if live else (at, taken.wall)
        placed.append(((first, second, taken.topic, taken.partition, taken.offset), taken))
    return [taken for _, taken in sorted(placed, key=lambda each: each[0])]


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
    forwarded: frozenset[tuple[str, int, int]] = frozenset()  # places in the log of what went to who she is by now
    known_since: int | None = None  # wall time of the first record that names her by a `userId`
    notes: Sequence[str] = ()
    arms: Mapping[str, Assigned] = field(default_factory=dict[str, Assigned])
