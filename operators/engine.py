"""One customer, one transition: an event, a wake, a courier's result.

Pure: the customer record is changed, what else follows is in `Effects`, and both clocks are arguments.
The shard runs this over its store; `operators.simulate` runs the same in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVarTuple

import msgspec

from operators import aliasing, joining, journey, merging, places, windows
from operators.breaker import Breaker
from operators.effects import Effects, FlowFault, told
from operators.experiments import assigned
from operators.flow import Flow, Step, Wait
from operators.gates import Gate, first_gate
from operators.guards import Rules
from operators.journey import Journey, Moved
from operators.meeting import Links
from operators.observe import folds_for, observe
from operators.plans import first_rest, hears_unguarded
from operators.program import Program
from operators.results import early_results, never_told, settle
from operators.sending import Sending, Turn
from operators.shadows import Shadows
from operators.trials import canary_name, is_shadow
from operators.versions import Versions
from operators.waits import Waits
from operators.wishes import wish_of
from state import event_codec
from state.aliases import Coming
from state.catalogue import CatalogueChange
from state.claims import CLAIMS, named
from state.customer import Customer
from state.decisions import Cause, timer_cause
from state.events import Event
from state.ids import Ids, event_hash
from state.messages import Delivery
from state.passages import WALL_CLOCK, Passage, Pending

Taken = Literal["applied", "duplicate", "held", "forwarded"]
Ts = TypeVarTuple("Ts")


class Arrived(msgspec.Struct, frozen=True, gc=False):
    """An event with its place in the log, and the wall time (seconds) at which it entered the log."""

    event: Event
    cause: Cause
    appended_at: float = 0.0


class Engine:
    """Runs the flows of a program for one customer at a time.

    `clock` and `sends` as in `Sending`, `links` as in `Meeting`.  `recommends`: somebody wants to know what customers
    touched, even if no flow does.
    """

    def __init__(
        self,
        program: Program,
        rules: Rules,
        ids: Ids,
        *,
        breaker: Breaker,
        clock: Literal["live", "replay"] = "live",
        sends: bool = True,
        links: Links = "",
        recommends: bool = False,
    ) -> None:
        self._program = program
        self._rules = rules
        self._ids = ids
        self._breaker = breaker
        self._folds = folds_for(program.listening, recommends=recommends)
        self._sending = Sending(program, rules, ids, breaker, clock=clock, sends=sends)
        self._versions = Versions(program, ids, breaker)
        self._shadows = Shadows(program)
        self._moves_inside: dict[str, tuple[type[Event], ...]] = {}
        for flow in program.all:  # of a flow with a canary, the events of both
            self._moves_inside[flow.name] = (*self._moves_inside.get(flow.name, ()), *flow.moves_inside)
        self._first_rests = {flow.name: first_rest(flow) for flow in program.flows if not program.on_trial}
        self._unguarded = frozenset(
            flow.name for flow in program.flows if self._first_rests.get(flow.name) and hears_unguarded(flow)
        )
        self.links = links
        self.waits = Waits(program, self._versions, breaker, links)
        self.meeting = self.waits.meeting

    def on_event(
        self, customer: Customer, arrived: Arrived, wall: int, effects: Effects, wakes_at: int | None = None
    ) -> Taken:
        """Take an event in, once.  `held`: it is later than one of her wakes, and must wait for it.

        `wakes_at`: the first of them, where somebody has just looked.
        """
        event = arrived.event
        mark = event_hash(event.id)
        if customer.has_seen(mark):
            self._drop(customer, arrived, effects)
            return "duplicate"
        customer.remember(mark)
        if customer.passages or customer.pending:
            if wakes_at is None or self._breaker.stopped:
                wakes_at = self.waits.next_wake(customer)
            if event.at > wakes_at:
                return "held"
        if (customer.joined is not None or customer.alias is not None) and self.meeting.holds(customer, event.at):
            return "held"
        return self._take_in(customer, arrived, wall, effects)

    def _release(self, customer: Customer, arrived: Arrived, wall: int, effects: Effects) -> None:
        if joining.came_twice(customer, arrived.event):
            self._drop(customer, arrived, effects)
        else:
            self._take_in(customer, arrived, wall, effects)

    def _drop(self, customer: Customer, arrived: Arrived, effects: Effects) -> None:
        if self.links:
            joining.waive(customer.id, named(arrived.event), arrived.cause, self._ids, effects)

    def _take_in(self, customer: Customer, arrived: Arrived, wall: int, effects: Effects) -> Taken:
        event = arrived.event
        if aliasing.is_alias(customer):
            joining.waive(customer.id, named(event), arrived.cause, self._ids, effects)
            aliasing.forward(customer, event, arrived.cause, arrived.appended_at, effects)
            return "forwarded"
        self.apply(customer, arrived, wall, effects)
        if self.links and type(event) in CLAIMS:
            joining.claim(customer, event, arrived.cause, self._ids, effects)
        return "applied"

    def apply(self, customer: Customer, arrived: Arrived, wall: int, effects: Effects) -> None:
        event = arrived.event
        if customer.aside:
            self._shadows.tidy(customer)
        facts = observe(customer, event, self._ids, self._folds)
        if self._program.windows and type(event) is not CatalogueChange:
            windows.fold(self._program.windows, customer, event)
        turn: Turn | None = None
        for fact in facts:
            for flow in self._program.listening(type(fact)):
                turn = turn or Turn(customer, wall, effects, arrived.cause, arrived.appended_at)
                self.hear(turn, flow, fact, correction=fact.id != event.id)

    def hear(self, turn: Turn, flow: Flow[Any], fact: Event, *, correction: bool = False) -> None:
        """Move one customer through one flow, by her version of it, because of one fact."""
        if correction:
            places.correct(turn.customer, self._versions.at(flow.name, turn.customer.id) or flow, fact)
        elif flow.name in self._unguarded:
            self._hear(turn, flow, fact)
        else:
            flow = self._versions.at(flow.name, turn.customer.id) or flow
            self._guarded(turn, flow, fact, None, self._hear, turn, flow, fact)

    def wake(
        self,
        customer: Customer,
        clock: int,
        wall: int,
        effects: Effects,
        held: Sequence[Arrived] = (),
        *,
        stalled: bool = False,
    ) -> int:
        """Wake all that was due before this shard clock, held events in between, in order of time.

        Returns how many of the held events were applied: those at the front of `held`, which must be
        in order of time, topic, partition and offset.
        """
        turn = Turn(customer, wall, effects, Cause("", 0, 0), stalled=stalled)
        applied = 0
        while True:
            first, until = self.waits.first(customer)
            gate = first_gate(customer) if customer.joined is not None or customer.alias is not None else None
            stop = until if gate is None else min(until, gate.at)
            if applied < len(held) and held[applied].event.at <= stop:
                self._release(customer, held[applied], wall, effects)
                applied += 1
            elif gate is not None and gate.at <= until:
                if not gate.is_open or clock <= gate.at:
                    self.waits.let_rest(customer, clock, effects)
                    return applied
                if gate.at > customer.woken:
                    customer.woken = gate.at
                self._pass(turn, gate, clock, held[applied:])
            elif first is None or self.meeting.bound(customer, clock) <= until + self.waits.grace(first.flow):
                self.waits.let_rest(customer, clock, effects)
                return applied
            else:
                if until > customer.woken:
                    customer.woken = until
                if isinstance(first, Passage):
                    self._wake_passage(turn, first)
                else:
                    self._look_again(turn, first)

    def on_wall(self, customer: Customer, wall: int, until: int, effects: Effects, started: int = 0) -> None:
        """Retries that are due by `until`, in order of time, and messages whose result nobody told since this worker
        started."""
        if aliasing.is_received(customer):
            return
        turn = Turn(customer, wall, effects, Cause("", 0, 0))
        due = [p for p in customer.pending if p.clock == WALL_CLOCK and p.due <= until and not p.set_aside]
        for pending in sorted(due, key=lambda each: each.due):
            if pending.awaiting:
                never_told(turn, pending, started)
            else:
                self._look_again(turn, pending)

    def on_delivery(self, customer: Customer, delivery: Delivery, wall: int, effects: Effects, cause: Cause) -> None:
        self._settle(Turn(customer, wall, effects, cause), delivery)

    def retry(self, customer: Customer, flow: Flow[Any], passage_id: str, fact: Event, turn: Turn) -> None:
        """Run again, for one flow alone, what its own code failed at; a wake where a passage or a message is named."""
        if not passage_id:
            self.hear(turn, flow, fact)
            return
        places.set_going(customer, passage_id)

    def _pass(self, turn: Turn, gate: Gate, clock: int, held: Sequence[Arrived]) -> None:
        customer = turn.customer
        if isinstance(gate.what, Coming):
            aliasing.become(customer, gate.what, clock, [each.event for each in held], turn.effects)
            return
        turn.cause = timer_cause("claim", gate.at)
        facts, messages = merging.take_in(customer, gate.what, self._program)
        for fact in facts:
            for flow in self._program.listening(type(fact)):
                self.hear(turn, flow, fact)
        for message_id in messages:
            self._settle_early(turn, message_id)

    def _hear(self, turn: Turn, flow: Flow[Any], fact: Event) -> None:
        lenient = flow.name in self._breaker.stopped
        if isinstance(fact, self._moves_inside[flow.name]):
            self._hear_inside(turn, flow, fact, lenient)
        if not flow.closed and places.matches(flow.enter, fact, turn.customer, lenient):
            self._enter(turn, flow, fact)

    def _hear_inside(self, turn: Turn, flow: Flow[Any], fact: Event, lenient: bool) -> None:
        """Let those leave, or go on from their wait, whom the fact moves."""
        customer, name = turn.customer, flow.name
        about = places.about(flow, fact)
        for passage in customer.passages:  # a list that is replaced, never changed
            if passage.flow != name or fact.at < passage.entered_at:
                continue
            if about is not None and passage.subject != about:
                continue
            version = self._versions.at(name, customer.id, passage.wait) or flow
            if places.some_matches(version.leave, fact, customer, lenient):
                places.leave(customer, flow.name, passage.subject, fact.at)
                continue
            found = version.find_wait(passage.wait)
            if found is None or found[0].until is None or not places.matches(found[0].until, fact, customer, lenient):
                continue
            wait, rest = found
            event = event_codec.decode(passage.event)
            places.remove(customer, passage)
            moved = journey.arrive(wait, rest, self._journey(customer, version, event, fact.at, passage))
            self._move(turn, version, passage, moved, fact.at)
        if customer.pending and places.some_matches(flow.leave, fact, customer, lenient):
            # Messages put off after their passage was through.
            for pending in customer.pending:
                is_meant = pending.flow == name and about in (None, pending.subject)
                if is_meant and pending.entered_at <= fact.at:
                    places.leave(customer, flow.name, pending.subject, fact.at)

    def _enter(self, turn: Turn, flow: Flow[Any], fact: Event) -> None:
        customer = turn.customer
        subject = fact.subject if flow.per is not Event else ""
        inside = places.find(customer.passages, flow.name, subject)
        if inside is not None and (not flow.restart or fact.at < customer.passages[inside].entered_at):
            return
        rests = self._first_rests.get(flow.name)
        if flow.restart and customer.pending:
            places.leave(customer, flow.name, subject, fact.at)
            inside = None
        elif inside is not None and rests is None:
            places.remove(customer, customer.passages[inside])
        passage = Passage(
            flow=flow.name,
            subject=subject,
            id=self._ids.passage(fact.customer, flow.name, subject, fact.id),
            wait=rests[0] if rests else "",
            until=fact.at + rests[1] if rests else 0,
            entered_at=fact.at,
            event=event_codec.encode(fact),
        )
        if rests is not None:
            customer.passages = places.rest(customer.passages, passage, inside)
            return
        if self._program.on_trial:
            turn.effects.entered.append((flow.name, self._program.version_of(flow)))
        moved = journey.enter(flow, self._journey(customer, flow, fact, fact.at, passage))
        self._move(turn, flow, passage, moved, fact.at)

    def _wake_passage(self, turn: Turn, passage: Passage) -> None:
        customer = turn.customer
        flow = self._versions.at(passage.flow, customer.id, passage.wait)
        assert flow is not None, "only who is in a flow of the program is woken"
        found = flow.find_wait(passage.wait)
        places.remove(customer, passage)
        if found is None:
            return
        wait, rest = found
        event = event_codec.decode(passage.event)
        turn.cause = timer_cause(wait.name, passage.until)
        if not self._guarded(turn, flow, event, passage, self._go_on, turn, flow, passage, event, wait, rest):
            customer.passages = [*customer.passages, msgspec.structs.replace(passage, set_aside=True)]

    def _go_on(
        self, turn: Turn, flow: Flow[Any], passage: Passage, event: Event, wait: Wait[Any], rest: tuple[Step[Any], ...]
    ) -> None:
        moved = journey.wake(wait, rest, self._journey(turn.customer, flow, event, passage.until, passage))
        self._move(turn, flow, passage, moved, passage.until)

    def _look_again(self, turn: Turn, pending: Pending) -> None:
        customer = turn.customer
        flow = self._versions.at(pending.flow, customer.id, pending.wait)
        customer.pending = [each for each in customer.pending if each is not pending]
        if flow is None:
            if not is_shadow(pending.flow):
                self._sending.again(turn, pending)
        else:
            fact = event_codec.decode(pending.event)
            if not self._guarded(turn, flow, fact, pending, self._send_again, turn, pending):
                customer.pending = [*customer.pending, msgspec.structs.replace(pending, set_aside=True)]

    def _send_again(self, turn: Turn, pending: Pending) -> None:
        self._settle_early(turn, self._sending.again(turn, pending))

    def _move(self, turn: Turn, flow: Flow[Any], passage: Passage, moved: Moved, moment: int) -> None:
        """Decide about what she passes, and let her rest where she arrives."""
        customer = turn.customer
        if moved.drawn:
            customer.arms = assigned(customer.arms, moved.drawn, moment)
            turn.effects.drawn += moved.drawn
        if moved.wait:
            rests = msgspec.structs.replace(passage, wait=moved.wait, until=moved.until, chosen=moved.chosen)
            customer.passages = places.rest(customer.passages, rests)
        for intent in moved.intents:
            wish = wish_of(self._ids, passage, intent, moment)
            self._settle_early(turn, self._sending.look(turn, wish, moment))

    def _settle_early(self, turn: Turn, message_id: str) -> None:
        """A shard put back decides again what couriers have long told the result of."""
        for delivery in early_results(turn.customer, message_id):
            self._settle(turn, delivery)
            settled = {each.message_id for each in turn.customer.pending if each.awaiting}
            turn.effects.messages[:] = [
                each
                for each in turn.effects.messages
                if each.message_id != message_id or (message_id in settled and each.attempt > delivery.attempt)
            ]

    def _settle(self, turn: Turn, delivery: Delivery) -> None:
        pending = next((p for p in turn.customer.pending if p.message_id == delivery.message_id), None)
        template = self._program.templates.get(pending.template) if pending else None
        at_most_once = template is not None and template.at_most_once
        settle(self._sending, self._ids, turn, delivery, at_most_once=at_most_once)

    def _journey(self, customer: Customer, flow: Flow[Any], event: Event, now: int, at: Passage) -> Journey:
        zone = customer.traits.time_zone or self._rules.time_zone
        stopped = flow.name in self._breaker.stopped
        asked = self._program
        return Journey(
            event, customer, now, zone, self._ids, asked.forecasts, at.id, at.chosen, asked.schedule, stopped
        )

    def _guarded(
        self,
        turn: Turn,
        flow: Flow[Any],
        fact: Event,
        at: Passage | Pending | None,
        transition: Callable[[*Ts], None],
        *args: *Ts,
    ) -> bool:
        """Run a transition that calls a flow's own code; taken back as a whole when that code raises."""
        customer, effects = turn.customer, turn.effects
        before = (
            customer.passages,
            customer.pending,
            customer.sent,
            customer.early_results,
            customer.told,
            customer.arms,
            customer.shown,
        )
        mark = effects.mark()
        try:
            if is_shadow(flow.name):
                self._shadows.run(turn, flow, lambda: transition(*args))
            else:
                transition(*args)
        except Exception as error:
            customer.passages, customer.pending, customer.sent, customer.early_results = before[:4]
            customer.told, customer.arms, customer.shown = before[4:]
            effects.take_back(mark)
            wait, rests, due = "", "", 0
            if isinstance(at, Passage):
                wait, rests, due = at.wait, at.id, at.until
            elif at is not None:
                wait, rests, due = at.wait, at.message_id, at.due
            effects.faults.append(FlowFault(flow.name, fact, wait, rests, due, turn.cause, told(error)))
            is_canary = flow is self._program.canaries.get(flow.name)
            self._breaker.failed(canary_name(flow.name) if is_canary else flow.name, turn.wall)
            return False
        return True
