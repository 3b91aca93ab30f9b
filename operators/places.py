"""Where one customer rests inside flows, changed by facts: what concerns a passage, and how she leaves.

Lists are replaced, never changed in place, so that a transition that fails can be taken back.  Plain loops, since
nearly every event comes through here and a comprehension costs twice as much (see docs/benchmarks.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from operators.flow import Flow
from operators.steps import Trigger
from operators.trials import is_shadow
from state import event_codec
from state.customer import Customer
from state.events import Event
from state.passages import PASSAGES_MAX, Passage, Pending


def matches(trigger: Trigger[Any], fact: Event, customer: Customer, lenient: bool) -> bool:
    if not isinstance(fact, trigger.event):
        return False
    if trigger.where is None:
        return True
    try:
        matches: bool = trigger.where(fact, customer)
    except Exception:
        if lenient:
            return True  # a stopped flow: its sends are decided `flow_stopped`, whatever its code thinks
        raise
    return matches


def some_matches(triggers: Iterable[Trigger[Any]], fact: Event, customer: Customer, lenient: bool) -> bool:
    for trigger in triggers:  # noqa: SIM110  # a generator for each fact costs more than asking
        if matches(trigger, fact, customer, lenient):
            return True
    return False


def about(flow: Flow[Any], fact: Event) -> str | None:
    """The subject of the only passages of this flow that a fact can move; None where it can move all."""
    return fact.subject if flow.per is not Event and isinstance(fact, flow.per) else None


def find(passages: list[Passage], flow: str, subject: str) -> int | None:
    """Where in the list a passage of this flow about this subject is.  Who enters anew has often just been there: the
    last come first."""
    place = len(passages)
    for passage in reversed(passages):
        place -= 1
        if passage.subject == subject and passage.flow == flow:
            return place
    return None


def rest(passages: list[Passage], rests: Passage, instead_of: int | None = None) -> list[Passage]:
    """With one more at the end, perhaps instead of the one at a place; where there are too many, the oldest goes, of
    shadows or of all others."""
    if instead_of is not None:
        return [*passages[:instead_of], *passages[instead_of + 1 :], rests]
    if len(passages) >= PASSAGES_MAX:
        alike = [each for each in passages if is_shadow(each.flow) == is_shadow(rests.flow)]
        gone = {id(each) for each in alike[: max(0, len(alike) - PASSAGES_MAX + 1)]}
        passages = [each for each in passages if id(each) not in gone]
    return [*passages, rests]


def remove(customer: Customer, passage: Passage) -> None:
    """Take a passage away, if it did not go already to make room for another."""
    passages = customer.passages.copy()
    try:
        passages.remove(passage)
    except ValueError:
        return
    customer.passages = passages


def set_going(customer: Customer, name: str) -> None:
    """What was set aside, a passage by its id or a message by its own, is woken again."""
    replace = msgspec.structs.replace
    customer.passages = [replace(each, set_aside=False) if each.id == name else each for each in customer.passages]
    customer.pending = [
        replace(each, set_aside=False) if each.message_id == name else each for each in customer.pending
    ]


def leave(customer: Customer, flow: str, subject: str, at: int) -> None:
    """End the passages entered by then; what a courier has ends with its attempt, the rest is withdrawn."""
    if customer.passages:
        passages: list[Passage] = []
        for passage in customer.passages:
            if passage.flow != flow or passage.subject != subject or passage.entered_at > at:
                passages.append(passage)
        customer.passages = passages
    if customer.pending:
        put_off: list[Pending] = []
        for pending in customer.pending:
            if pending.flow != flow or pending.subject != subject or pending.entered_at > at:
                put_off.append(pending)
            elif pending.awaiting:
                put_off.append(msgspec.structs.replace(pending, left=True))
        customer.pending = put_off


def correct(customer: Customer, flow: Flow[Any], fact: Event) -> None:
    """A late event changed what an earlier one should have said: she rests where she is, with the better word."""
    if isinstance(fact, flow.enter.event):
        subject = fact.subject if flow.per is not Event else ""
        customer.passages = [
            msgspec.structs.replace(each, event=event_codec.encode(fact))
            if each.flow == flow.name and each.subject == subject and each.entered_at == fact.at
            else each
            for each in customer.passages
        ]
