"""One customer's other ids, as the engine sees them: what she waits for besides her own waits, and what is said of her.

The two sides of a claim are in `operators.joining` and `operators.aliasing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from operators import aliasing, joining, merging_passages
from operators.effects import Effects
from operators.gates import first_gate
from state import customer as customers
from state.customer import Customer
from state.messages import Delivery
from state.passages import NEVER
from state.words import AnyWord, Ask, Claim, Merge, Received, Refusal, Told, Waiver

Links = Literal["", "log", "marks"]
First = Callable[[Customer], tuple[Any, int]]


class Meeting:
    """`links`: how shards speak to each other, by the log, or at the marks of a replay; empty: not at all.

    `first` gives what of hers is woken first, and when; `graces` how much longer than due a flow waits.
    """

    def __init__(self, links: Links, first: First, graces: Mapping[str, int]) -> None:
        self.links = links
        self._first, self._graces = first, graces

    def holds(self, customer: Customer, at: int) -> bool:
        """Whether an event must wait for another shard: behind a gate; on replay, until all have met at a mark."""
        gate = first_gate(customer)
        if gate is not None and at > gate.at:
            return True
        return self.links == "marks" and joining.has_aliases(customer)

    def may_bring(self, customer: Customer) -> bool:
        """Whether what she did under another id may be on its way to her."""
        if customer.joined is None and customer.alias is None:
            return False
        return first_gate(customer) is not None or (self.links == "marks" and joining.has_aliases(customer))

    def bound(self, customer: Customer, clock: int) -> int:
        """How far her waits may end: no further than her other ids have been read."""
        if customer.joined is None:
            return clock
        return min(clock, joining.read_up_to(customer, clock))

    def due(self, customer: Customer, event_due: int) -> int:
        """When she must be looked at again, by the shard clock (more than), her other ids considered."""
        gate, joined = first_gate(customer), customer.joined
        if gate is not None and gate.at <= self._first(customer)[1]:
            event_due = gate.at if gate.is_open else NEVER
        elif joined is not None and joined.asked > event_due >= joining.read_up_to(customer, joined.asked):
            event_due = NEVER  # until she is told
        ask = aliasing.first_ask(customer)
        if ask != NEVER and (gate is None or gate.at >= ask):
            event_due = min(event_due, ask - 1)
        return event_due

    def rests(self, customer: Customer, clock: int, effects: Effects) -> None:
        """Ask about her other ids what must be known before she is woken, and answer who asked about her."""
        aliasing.tell(customer, clock, effects)
        joined = customer.joined
        if joined is not None and self.bound(customer, clock) < clock and joined.asked <= self._next(customer) < clock:
            joining.ask(customer, clock, effects)

    def take(self, customer: Customer, word: AnyWord, effects: Effects) -> list[Delivery]:
        """What the shard of another id of hers said; what couriers told it, for whoever calls, who wakes her then."""
        match word:
            case Claim():
                aliasing.on_claim(customer, word, effects)
            case Waiver():
                aliasing.on_waiver(customer, word)
            case Ask():
                aliasing.on_ask(customer, word)
            case Refusal():
                joining.on_refusal(customer, word)
            case Told():
                joining.on_told(customer, word)
            case Merge():
                return self._take_merge(customer, word, effects)
            case Received():
                aliasing.on_received(customer, word)
            case _:
                raise TypeError("a forwarded record is taken in as what it holds")
        return []

    def _take_merge(self, customer: Customer, word: Merge, effects: Effects) -> list[Delivery]:
        link = joining.on_merge(customer, word)
        if not link.has_come:
            return []
        if word.state:
            known, anonymous = customer.id, word.anonymous
            effects.words.append(Received(known=known, anonymous=anonymous, claim=word.claim, at=word.at))
        if link.merged:
            again = joining.taken_in(customer, link)
            if again:
                other = customers.decode(again)
                merging_passages.tell_again(customer, link.brought, other.pending)
                return [each for each in other.early_results if each.message_id in link.brought]
        return []

    def _next(self, customer: Customer) -> int:
        """What the clock has to pass before her first wait ends; `NEVER` where a gate comes before."""
        first, until = self._first(customer)
        gate = first_gate(customer)
        if first is None or (gate is not None and gate.at <= until):
            return NEVER
        return until + self._graces.get(first.flow, 0)
