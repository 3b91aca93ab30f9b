"""Flows of which only one at a time speaks to a customer.

A flow of a group is silent while another one of the group goes before it; which one does is a matter of priority, then
of who entered earlier, then of who stands first in FLOWS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, Protocol

import msgspec

from operators.experiments import is_held_out
from operators.faults import FlowError
from operators.limits import Limit
from state.customer import Customer
from state.ids import Ids
from state.passages import Passage, Pending


@dataclass(frozen=True)
class Group:
    """One name, one value: `reminders = Group("reminders", pause=days(1))`, and `group=reminders` in each flow.

    `pause` is how long after a message of one flow the others keep silent.  Without `while_inside` a flow
    claims the customer by its messages only, not by her being inside.
    """

    name: str
    pause: timedelta = timedelta(0)
    while_inside: bool = True

    def __post_init__(self) -> None:
        if self.pause < timedelta(0):
            raise FlowError(f'Group "{self.name}".pause is {self.pause}. Name a time, or leave it out for none.')


class Rank(NamedTuple):
    """The lower goes first: by priority, the higher one first, then by place in FLOWS."""

    minus_priority: int
    place: int
    holdout_percent: float


class Member(Protocol):
    """What is looked at of a flow."""

    @property
    def name(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def group(self) -> Group | None: ...
    @property
    def holdout_percent(self) -> float: ...


class Rivals(msgspec.Struct, frozen=True):
    """A flow among those of its group: its own rank, and that of the others by name."""

    group: Group
    mine: Rank
    others: Mapping[str, Rank]
    pause_ms: int


class Rival(NamedTuple):
    """The flow that goes before; since when she is inside, or when it sent the message after which others pause."""

    flow: str
    since: int
    has_sent: bool


def rivals_of(flows: Iterable[Member]) -> dict[str, Rivals]:
    """By name, for every flow that is in a group."""
    found: dict[Group, dict[str, Rank]] = {}
    for place, flow in enumerate(flows):
        if flow.group is not None:
            found.setdefault(flow.group, {})[flow.name] = Rank(-flow.priority, place, flow.holdout_percent)
    return {
        name: Rivals(
            group,
            mine,
            {other: rank for other, rank in members.items() if other != name},
            round(group.pause.total_seconds() * 1000),
        )
        for group, members in found.items()
        for name, mine in members.items()
    }


def pauses(rivals: Iterable[Rivals]) -> list[Limit]:
    """What is to be remembered of messages sent, so that groups can keep their pauses."""
    return [Limit(1, each.pause_ms + 1, "flow", other) for each in rivals for other in each.others]


def rival(
    rivals: Rivals, customer: Customer, entered_at: int, moment: int, stopped: Set[str], ids: Ids
) -> Rival | None:
    """Who goes before a message of this flow's at this moment; nobody where it may go itself."""
    others, mine = rivals.others, rivals.mine
    for sent in customer.sent:
        other = others.get(sent.flow)
        if (
            other is not None
            and sent.at <= moment <= sent.at + rivals.pause_ms
            and other.minus_priority <= mine.minus_priority
        ):
            return Rival(sent.flow, sent.at, has_sent=True)
    if not rivals.group.while_inside:
        return None
    place = mine.minus_priority, entered_at, mine.place
    inside: list[Passage | Pending] = [*customer.passages]
    inside += [each for each in customer.pending if not each.awaiting]  # what a courier has was counted as sent
    for each in inside:
        other = others.get(each.flow)
        if other is None or each.set_aside or each.flow in stopped or each.entered_at > moment:
            continue
        before = (other.minus_priority, each.entered_at, other.place) < place
        if before and not is_held_out(ids, customer.id, other.holdout_percent, each.flow):
            return Rival(each.flow, each.entered_at, has_sent=False)
    return None
