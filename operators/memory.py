"""What log and store remember of one customer: all that an explanation is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from state.arrivals import Late, Place
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
    def place(self) -> Place:
        return self.topic, self.partition, self.offset

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
    """A decision as the store holds it; `wall` is when it was published, None where the log no longer tells.

    `offset` is its place in the partition of the topic, in which the decisions about one customer have their order.
    """

    decision: Decision
    wall: int | None
    offset: int = 0

    @property
    def place(self) -> tuple[int, int]:
        return self.wall or 0, self.offset


def in_order(inputs: Iterable[Taken], *, live: bool, late: Iterable[Late] = ()) -> list[Taken]:
    """As they were taken in: each partition in its own order, and what is noted as `late` where it came.

    Live, as they entered the log.  On the replay clock time is what the log has reached, so they are as they happened;
    what has no time of its own comes after all that had entered the log by then.
    """
    follows = {each.place: each.after for each in late if each.after is not None}
    everything = {taken.place: taken for taken in inputs}
    followers: dict[Place, list[Taken]] = {}
    told: dict[tuple[str, int, str], Place] = {}  # the first of those that tell the same
    reached: dict[TopicPartition, tuple[int, int]] = {}
    furthest = 0
    placed: list[tuple[tuple[int, int, str, int, int], Taken]] = []
    for taken in sorted(everything.values(), key=lambda each: (each.wall, *each.place)):
        after = follows.get(taken.place)
        if isinstance(taken.what, Event):
            first = told.setdefault((taken.topic, taken.partition, taken.what.id), taken.place)
            if after is None and first != taken.place and first in follows:
                after = first
        if after is not None and after in everything:
            followers.setdefault(after, []).append(taken)
            continue
        tp, at = TopicPartition(taken.topic, taken.partition), taken.at
        at = furthest if at is None else at
        key = (taken.wall, at) if live else (at, taken.wall)
        reached[tp] = key = max(key, reached.get(tp, key))
        furthest = max(furthest, at)
        placed.append(((*key, *taken.place), taken))
    found: list[Taken] = []
    for _, taken in sorted(placed, key=lambda each: each[0]):
        ahead = [taken]
        while ahead:
            found.append(ahead.pop())
            ahead += followers.pop(found[-1].place, ())
    return found


@dataclass(frozen=True)
class Memory:
    """What log and store remember of one customer.

    `inputs` in the order they were taken in, with the notes on those that came `late`.  `record` is what the store
    knows of her now, None where there is nothing.  `kept_since`: older decisions are no longer kept.  `failures` are
    dead letters of flows whose own code failed for her.  `arms` are those that she got, perhaps while their shares were
    others.
    """

    customer: str
    inputs: Sequence[Taken]
    decisions: Mapping[str, Recalled]
    watermarks: Mapping[TopicPartition, int]
    record: Customer | None = None
    kept_since: int = 0
    failures: Sequence[DeadLetter] = ()
    stopped: frozenset[str] = frozenset()
    late: Mapping[Place, Late] = field(default_factory=dict[Place, Late])
    forwarded: frozenset[Place] = frozenset()  # places in the log of what went to who she is by now
    known_since: int | None = None  # wall time of the first record that names her by a `userId`
    notes: Sequence[str] = ()
    arms: Mapping[str, Assigned] = field(default_factory=dict[str, Assigned])
