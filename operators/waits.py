"""When a customer's waits end: which is the first, and when she must be looked at again."""

from __future__ import annotations

import msgspec

from operators import aliasing
from operators.breaker import Breaker
from operators.effects import Effects
from operators.gates import first_gate
from operators.meeting import Links, Meeting
from operators.program import Program
from operators.versions import Versions
from state.customer import Customer
from state.passages import EVENT_CLOCK, NEVER, WALL_CLOCK, Passage, Pending

REST_MS = 60_000  # how often those who rest in a stopped flow are looked at


class Waits:
    """What of a program decides when somebody is woken.  `links` as in `Meeting`."""

    def __init__(self, program: Program, versions: Versions, breaker: Breaker, links: Links) -> None:
        self._program, self._versions, self._breaker = program, versions, breaker
        self._graces: dict[str, int] = {}
        for flow in program.all:
            grace = round(flow.grace.total_seconds() * 1000)
            self._graces[flow.name] = max(grace, self._graces.get(flow.name, 0))
        self._some_wait_longer = any(self._graces.values())
        self.meeting = Meeting(links, self.first, self._graces)

    def grace(self, flow: str) -> int:
        """How much longer than due a wake of this flow waits for late events."""
        return self._graces.get(flow, 0)

    def dues(self, customer: Customer) -> tuple[int, int, int | None]:
        """When she must be looked at again, by the shard clock (more than) and by the wall clock (at least).

        And, by the way, what `next_wake` says as long as no flow is stopped; None where more than waits counts.
        """
        event_due = wall_due = wakes_at = NEVER
        graces = self._graces
        for passage in customer.passages:
            if passage.until < event_due and not passage.set_aside and passage.flow in graces:
                until = passage.until
                if until < wakes_at:
                    wakes_at = until
                due = (until if until > passage.look_again else passage.look_again) + graces[passage.flow]
                if due < event_due:
                    event_due = due
        for pending in customer.pending:
            if pending.set_aside:
                continue
            if pending.clock == WALL_CLOCK:
                if pending.due < wall_due:
                    wall_due = pending.due
            else:
                if pending.due < wakes_at:
                    wakes_at = pending.due
                due = pending.due + graces.get(pending.flow, 0)
                if due < event_due:
                    event_due = due
        if self._some_wait_longer:
            # Who comes first holds up those behind, whatever their grace.
            first, until = self.first(customer)
            if first is not None:
                event_due = max(event_due, until + graces.get(first.flow, 0))
        if customer.joined is not None or customer.alias is not None:
            event_due = self.meeting.due(customer, event_due)
            if aliasing.is_received(customer):
                wall_due = NEVER  # another tries her messages again
            return event_due, wall_due, None
        return event_due, wall_due, wakes_at

    def next_wake(self, customer: Customer) -> int:
        """When (event time) the first of her waits ends; later events are held until then."""
        due, stopped = NEVER, self._breaker.stopped
        for passage in customer.passages:
            if passage.until < due and not passage.set_aside and not (stopped and self._rests(passage.flow)):
                if passage.flow not in self._graces:
                    continue  # a shadow that is no longer in FLOWS
                due = passage.until
        for pending in customer.pending:
            if pending.clock == EVENT_CLOCK and pending.due < due and not pending.set_aside:
                due = pending.due
        if customer.joined is not None or customer.alias is not None:
            gate = first_gate(customer)
            if gate is not None and gate.at < due:
                due = gate.at
        return due

    def first(self, customer: Customer) -> tuple[Passage | Pending | None, int]:
        """Who is woken first: by moment, then priority, then who came earlier."""
        first: Passage | Pending | None = None
        due, flows, stopped = NEVER, self._program.by_name, self._breaker.stopped
        for passage in customer.passages:
            if passage.until > due or passage.set_aside or passage.flow not in flows:
                continue
            if stopped and self._rests(passage.flow):
                continue
            if first is None or passage.until < due or self._rank(customer, passage) < self._rank(customer, first):
                first, due = passage, passage.until
        for pending in customer.pending:
            if pending.due > due or pending.set_aside or pending.clock != EVENT_CLOCK:
                continue
            if first is None or pending.due < due or self._rank(customer, pending) < self._rank(customer, first):
                first, due = pending, pending.due
        return first, due

    def _rests(self, flow: str) -> bool:
        """Whether those inside this flow are not woken, since it is stopped."""
        found = self._program.by_name.get(flow) if flow in self._breaker.stopped else None
        return found is not None and found.while_stopped == "rest"

    def let_rest(self, customer: Customer, clock: int, effects: Effects) -> None:
        """Those whose wait ended in a stopped flow are looked at again in a while."""
        if customer.joined is not None or customer.alias is not None:
            self.meeting.rests(customer, clock, effects)
        if self._breaker.stopped and any(self._rests(each.flow) for each in customer.passages):
            customer.passages = [
                msgspec.structs.replace(each, look_again=clock + REST_MS)
                if self._rests(each.flow) and max(each.until, each.look_again) < clock
                else each
                for each in customer.passages
            ]

    def _rank(self, customer: Customer, each: Passage | Pending) -> tuple[int, int, int, str]:
        """Of those that are due at one moment the least goes first; of one passage, what was wanted first."""
        flow = self._versions.at(each.flow, customer.id, each.wait)
        wanted, name = (each.until, each.id) if isinstance(each, Passage) else (each.at, each.message_id)
        return -flow.priority if flow else 0, each.entered_at, wanted, name
