"""The engine with a witness: every move, test, verdict and decision is written to a trace.

It decides exactly as `operators.engine` does, since it is that engine; what it adds is told around each
step.  Workers never run it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from operators import verdicts
from operators.breaker import Breaker
from operators.effects import Effects
from operators.engine import Arrived, Engine, Taken, Ts
from operators.flow import Flow
from operators.gates import Gate
from operators.guards import Ask, Rules, Verdict
from operators.journey import Moved
from operators.meeting import Links
from operators.program import Program
from operators.sending import Sending, Turn
from operators.steps import Template
from operators.trace import Entry, Trace, What, event_detail, event_name
from operators.watched import watched
from state.aliases import Coming
from state.claims import named
from state.customer import Customer
from state.decisions import Cause, Decision, Outcome, Reason
from state.events import Event
from state.ids import Ids
from state.messages import Delivery
from state.passages import WALL_CLOCK, Passage, Pending
from state.words import Claim, Refusal

Recall = Callable[[Turn, Pending], None]


class TracingEngine(Engine):
    """`recall` is called before each look at a message, and may set the turn's clocks to what they were then."""

    def __init__(
        self,
        program: Program,
        rules: Rules,
        ids: Ids,
        trace: Trace,
        *,
        breaker: Breaker,
        clock: Literal["live", "replay"] = "live",
        sends: bool = True,
        recall: Recall | None = None,
        links: Links = "",
    ) -> None:
        seen = watched(program, trace)
        super().__init__(seen, rules, ids, breaker=breaker, clock=clock, sends=sends, links=links)
        # Whoever enters is to be seen doing it, step by step.
        self._first_rests, self._unguarded = dict.fromkeys(self._first_rests), frozenset()
        self._sending = _TracingSending(seen, rules, ids, breaker, trace, recall, clock=clock, sends=sends)
        self.trace = trace
        self._live = clock == "live"
        self._entering: set[str] | None = None  # while somebody enters: the passages that she may restart
        self._moved: set[str] = set()  # passages that went on or were restarted because of the present fact
        self._hearing = False
        self._entered_count = 0

    # -- what comes in

    def on_event(
        self, customer: Customer, arrived: Arrived, wall: int, effects: Effects, wakes_at: int | None = None
    ) -> Taken:
        outcome = super().on_event(customer, arrived, wall, effects, wakes_at)
        if outcome in ("duplicate", "held"):
            self.trace.at = arrived.event.at
            until = self.waits.next_wake(customer) if outcome == "held" else 0
            self.trace.add(outcome, until=until, **_arrived(arrived))
        return outcome

    def _take_in(self, customer: Customer, arrived: Arrived, wall: int, effects: Effects) -> Taken:
        said, refused = len(effects.words), len(effects.refused)
        outcome = super()._take_in(customer, arrived, wall, effects)
        if outcome == "forwarded":
            self.tell_forwarded(arrived, customer)
        for word in effects.words[said:]:
            if isinstance(word, Claim):
                self.trace.add("claims", name=word.anonymous)
        for reason in effects.refused[refused:]:
            self.trace.add("claim_refused", name=named(arrived.event), reason=reason)
        return outcome

    def tell_forwarded(self, arrived: Arrived, customer: Customer) -> None:
        self.trace.at = arrived.event.at
        of = customer.alias.of if customer.alias is not None else ""
        self.trace.add("forwarded", **_arrived(arrived), reason=of)

    def _pass(self, turn: Turn, gate: Gate, clock: int, held: Sequence[Arrived]) -> None:
        self.trace.at = gate.at
        said, customer = len(turn.effects.words), turn.customer
        events = customer.events
        if isinstance(gate.what, Coming):
            super()._pass(turn, gate, clock, held)
            refused = [word.reason for word in turn.effects.words[said:] if isinstance(word, Refusal)]
            what: What = "claim_refused" if refused else "became"
            self.trace.add(what, name=gate.what.known, reason="".join(refused))
            return
        super()._pass(turn, gate, clock, held)
        count = customer.events - events
        self.trace.at = gate.at
        self.trace.add("joined", name=gate.what.anonymous, detail=f"{count} event{'s' if count != 1 else ''}")

    def apply(self, customer: Customer, arrived: Arrived, wall: int, effects: Effects) -> None:
        self.trace.at = arrived.event.at
        self.trace.add("event", **_arrived(arrived))
        super().apply(customer, arrived, wall, effects)

    def on_delivery(self, customer: Customer, delivery: Delivery, wall: int, effects: Effects, cause: Cause) -> None:
        before = next((each for each in customer.pending if each.message_id == delivery.message_id), None)
        detail = " ".join(filter(None, (delivery.provider, delivery.detail)))
        if self._live:
            self.trace.at = wall
        else:
            detail += f", told {delivery.at}"  # the log's own time runs otherwise than the courier's
        self.trace.add(
            "delivery",
            message_id=delivery.message_id,
            flow=before.flow if before else "",
            subject=before.subject if before else "",
            message=before.template if before else "",
            attempt=delivery.attempt,
            outcome=delivery.result,
            detail=detail,
            reason="" if before else "not_awaited",
            topic=cause.topic,
            partition=cause.partition,
            offset=cause.offset,
        )
        super().on_delivery(customer, delivery, wall, effects, cause)

    def on_wall(self, customer: Customer, wall: int, until: int, effects: Effects, started: int = 0) -> None:
        for pending in customer.pending:
            if pending.awaiting and pending.clock == WALL_CLOCK and started <= pending.due <= until:
                self.trace.at = pending.due if self._live else self.trace.at
                self.trace.add("given_up", **_pending(pending), attempt=pending.attempt)
        super().on_wall(customer, wall, until, effects, started)

    def retry(self, customer: Customer, flow: Flow[Any], passage_id: str, fact: Event, turn: Turn) -> None:
        self.trace.add("given_back", flow=flow.name, passage=passage_id, name=event_name(fact))
        super().retry(customer, flow, passage_id, fact, turn)

    # -- what follows

    def hear(self, turn: Turn, flow: Flow[Any], fact: Event, *, correction: bool = False) -> None:
        before = turn.customer.passages
        super().hear(turn, flow, fact, correction=correction)
        if correction:
            known = {each.id: each.event for each in before}
            for each in turn.customer.passages:
                if known.get(each.id, each.event) != each.event:
                    self.trace.add("corrected", **_passage(each), name=event_name(fact))

    def _hear(self, turn: Turn, flow: Flow[Any], fact: Event) -> None:
        trace, customer = self.trace, turn.customer
        start = len(trace.entries)
        passages = [each for each in customer.passages if each.flow == flow.name]
        waiting = [each for each in customer.pending if each.flow == flow.name]
        entered = self._entered_count
        self._moved, self._hearing = set(), True
        try:
            super()._hear(turn, flow, fact)
        finally:
            self._hearing = False
            trace.forget_repeats(start)
        there = {each.id for each in customer.passages}
        gone = [each for each in passages if each.id not in there and each.id not in self._moved]
        left = [self._entry("left", **_passage(each), name=event_name(fact)) for each in gone]
        kept = {each.message_id: each for each in customer.pending}
        for each in waiting:
            now = kept.get(each.message_id)
            if now is None or (now.left and not each.left):
                detail = "a courier has it: no attempt after this one" if now else ""
                left.append(self._entry("withdrawn", **_pending(each), name=event_name(fact), detail=detail))
        place = start
        while place < len(trace.entries) and trace.entries[place].what == "condition":
            place += 1
        trace.entries[place:place] = left
        if isinstance(fact, flow.enter.event) and entered == self._entered_count:
            self._did_not_enter(flow, fact)

    def _did_not_enter(self, flow: Flow[Any], fact: Event) -> None:
        where = flow.enter.where
        detail = "the flow is closed" if flow.closed else f"{where.__name__} is false" if where is not None else ""
        reason = "closed" if flow.closed else "condition"
        subject = fact.subject if flow.per is not Event else ""
        self.trace.add("not_entered", flow=flow.name, subject=subject, reason=reason, detail=detail)

    def _enter(self, turn: Turn, flow: Flow[Any], fact: Event) -> None:
        self._entered_count += 1
        subject = fact.subject if flow.per is not Event else ""
        inside = [each for each in turn.customer.passages if each.flow == flow.name and each.subject == subject]
        self._entering = {each.id for each in inside}
        super()._enter(turn, flow, fact)
        if self._entering is not None:
            self._entering = None
            late = flow.restart and any(fact.at < each.entered_at for each in inside)
            detail = "it is older than the event that brought her" if late else "she is inside already"
            self.trace.add("not_entered", flow=flow.name, subject=subject, reason="inside", detail=detail)

    def _move(self, turn: Turn, flow: Flow[Any], passage: Passage, moved: Moved, moment: int) -> None:
        trace = self.trace
        trace.at = moment
        if self._entering is not None:
            what: Literal["restarted", "entered"] = "restarted" if self._entering else "entered"
            self._moved |= self._entering
            self._entering = None
            trace.put_before_tests(self._entry(what, **_passage(passage)))
        elif self._hearing:
            self._moved.add(passage.id)
            trace.put_before_tests(self._entry("came", **_passage(passage), name=passage.wait))
        super()._move(turn, flow, passage, moved, moment)
        trace.at = moment
        if moved.wait:
            trace.add("parked", **_passage(passage), name=moved.wait, until=moved.until)
        else:
            trace.add("through", **_passage(passage))

    def _wake_passage(self, turn: Turn, passage: Passage) -> None:
        self.trace.at = passage.until
        flow = self._versions.at(passage.flow, turn.customer.id, passage.wait)
        found = flow.find_wait(passage.wait) if flow is not None else None
        gone = "" if found else "the flow no longer has this wait: she left"
        self.trace.add("wait_ended", **_passage(passage), name=found[0].name if found else passage.wait, detail=gone)
        super()._wake_passage(turn, passage)

    def _look_again(self, turn: Turn, pending: Pending) -> None:
        # On the log's own time a retry, which is due by the other clock, is told where its decision is.
        self.trace.at = pending.due if self._live or pending.clock != WALL_CLOCK else pending.at
        gone = "" if pending.flow in self._program.by_name else "the flow is gone, and its message with it"
        self.trace.add("looked_again", **_pending(pending), reason=pending.why, detail=gone)
        super()._look_again(turn, pending)

    def _guarded(
        self,
        turn: Turn,
        flow: Flow[Any],
        fact: Event,
        at: Passage | Pending | None,
        transition: Callable[[*Ts], None],
        *args: *Ts,
    ) -> bool:
        entries = self.trace.entries
        start, self._entering = len(entries), None
        went_well = super()._guarded(turn, flow, fact, at, transition, *args)
        if not went_well:
            self._entering = None
            entries[start:] = [each for each in entries[start:] if each.what in ("condition", "arm", "moment", "guard")]
            what_for = _passage(at) if isinstance(at, Passage) else {"flow": flow.name, "subject": fact.subject}
            self.trace.add("flow_error", **what_for, name=event_name(fact), detail=turn.effects.faults[-1].error)
        return went_well

    def _entry(self, what: Any, **fields: Any) -> Entry:
        return Entry(at=self.trace.at, what=what, **fields)


class _TracingSending(Sending):
    def __init__(
        self,
        program: Program,
        rules: Rules,
        ids: Ids,
        breaker: Breaker,
        trace: Trace,
        recall: Recall | None,
        *,
        clock: Literal["live", "replay"],
        sends: bool,
    ) -> None:
        super().__init__(program, rules, ids, breaker, clock=clock, sends=sends)
        self._trace, self._recall, self._expects = trace, recall, sends
        self._judge = self._ask_all
        self._asked: Pending

    def look(self, turn: Turn, pending: Pending, moment: int) -> str:
        self._trace.at = moment
        self._asked = pending
        if self._recall is not None:
            self._recall(turn, pending)
        messages, decisions = len(turn.effects.messages), len(turn.effects.decisions)
        looked_at = super().look(turn, pending, moment)
        made = turn.effects.decisions[decisions:]
        sent = bool(made) and made[-1].outcome == "send" and made[-1].message_id == pending.message_id
        if sent and self._expects and len(turn.effects.messages) == messages:
            self._trace.add("not_handed_on", **_pending(pending), detail=f'[send] mode is "{self._rules.send_mode}"')
        return looked_at

    def _ask_all(self, ask: Ask) -> Verdict | None:
        """Every guard in order, also those after the one that decides."""
        decided: Verdict | None = None
        for said in verdicts.of(ask):
            self._trace.add(
                "guard",
                **_pending(self._asked),
                name=said.guard,
                verdict=said.verdict.outcome if said.verdict else "pass" if said.asked else "not asked",
                reason=said.verdict.reason if said.verdict else "",
                until=said.verdict.until if said.verdict else 0,
                detail=said.detail,
            )
            decided = decided or said.verdict
        return decided

    def decide(
        self,
        turn: Turn,
        pending: Pending,
        moment: int,
        outcome: Outcome,
        reason: Reason = "",
        until: int = 0,
        replaced_by: str = "",
    ) -> None:
        super().decide(turn, pending, moment, outcome, reason, until, replaced_by)
        decision: Decision = turn.effects.decisions[-1]
        self._trace.at = moment
        self._trace.add(
            "decision",
            **_pending(pending),
            decision_id=decision.decision_id,
            outcome=outcome,
            reason=reason,
            until=until,
            detail=f"{replaced_by} in its place" if replaced_by else decision.arm,
        )

    def _hand_on(self, turn: Turn, pending: Pending, template: Template[Any], ask: Ask, content: bytes) -> None:
        super()._hand_on(turn, pending, template, ask, content)
        self._trace.add("handed_on", **_pending(pending), attempt=pending.attempt + 1, detail=template.channel)


def _arrived(arrived: Arrived) -> dict[str, Any]:
    event, cause = arrived.event, arrived.cause
    return {
        "name": event_name(event),
        "detail": event_detail(event),
        "topic": cause.topic,
        "partition": cause.partition,
        "offset": cause.offset,
    }


def _passage(passage: Passage) -> dict[str, Any]:
    return {"flow": passage.flow, "subject": passage.subject, "passage": passage.id}


def _pending(pending: Pending) -> dict[str, Any]:
    return {
        "flow": pending.flow,
        "subject": pending.subject,
        "passage": pending.passage,
        "message": pending.template,
        "message_id": pending.message_id,
    }
