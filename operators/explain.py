"""Why a customer did or did not get a message: her own history run again, alone, with a witness.

The same engine takes the same records in the order in which they came.  Where an event came before a wait of hers
ended, it is taken before, and where it came after, the customer's record has a note of it (`state.arrivals`).  What
the re-run decides is compared with what the store holds, and every difference is told.  Pure: time is an argument.
"""

from __future__ import annotations

import base64
from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import msgspec

from operators import aliasing, joining, results
from operators.ahead import Ahead
from operators.breaker import NeverStops
from operators.effects import Effects, Mark
from operators.engine import Arrived
from operators.guards import Rules
from operators.memory import Announced, Memory, Recalled, Taken
from operators.program import Program
from operators.sending import Turn
from operators.standing import compare, cross_check, standing
from operators.trace import Entry, Trace
from operators.tracing import TracingEngine
from state import customer as customers
from state import dead_letters, event_codec
from state.arrivals import Late
from state.catalogue import CatalogueChange
from state.customer import Customer
from state.dead_letters import DeadLetter
from state.decisions import Cause
from state.decode import Rejected
from state.events import Event, ProductEvent
from state.ids import Ids
from state.instants import parse_instant
from state.messages import Delivery
from state.passages import NEVER, WALL_CLOCK, Pending
from state.records import TopicPartition
from state.words import Forward, Refusal


class FailedThen(RuntimeError):
    """The flow's code failed here then, whatever it does today."""


@dataclass
class _Snapshot:
    customer: bytes
    at: int
    entries: int
    marks: Mark
    faults: int
    held: list[Arrived]
    failures: list[DeadLetter]


def explain(
    program: Program,
    rules: Rules,
    ids: Ids,
    memory: Memory,
    *,
    clock: Literal["live", "replay"],
    until: int,
    clock_now: int,
    wall_now: int,
    is_past: bool = False,
) -> list[Entry]:
    """All that happened to her until then, and why.

    `until` is a moment of the deployment's clock, now or `is_past`; `clock_now` is how far the shard clock is known to
    have come.
    """
    return Rerun(program, rules, ids, memory, clock == "live", until, is_past, wall_now).play(clock_now)


@dataclass
class Rerun:
    """One customer's life, once more."""

    program: Program
    rules: Rules
    ids: Ids
    memory: Memory
    live: bool
    until: int
    is_past: bool
    wall_now: int
    trace: Trace = field(default_factory=Trace)
    effects: Effects = field(default_factory=Effects)
    held: list[tuple[tuple[int, str, int, int], Arrived]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._breaker = NeverStops()
        self.customer = Customer(id=self.memory.customer, arms=dict(self.memory.arms))
        self._last_wall = 0
        self._is_over = False  # the moment asked about has come
        self._past: Customer | None = None
        self._failures = list(self.memory.failures)
        self._failed_then = ""
        sent = [told for told in self.memory.decisions.values() if told.decision.outcome == "send"]
        self._ever_sent = Counter(told.decision.message_id for told in sent)
        self._sent = {told.decision.message_id for told in sent if self._upto(told)}
        self.engine = TracingEngine(
            self.program,
            self.rules,
            self.ids,
            self.trace,
            breaker=self._breaker,
            clock="live" if self.live else "replay",
            links="log",
            recall=self._recall,
        )

    def play(self, clock_now: int) -> list[Entry]:
        late = self.memory.late
        inputs = [taken for taken in self.memory.inputs if self._was_taken(taken)]
        ahead = Ahead(inputs, late, self._due_to_this_day())
        for number, taken in enumerate(inputs):
            if self.live and taken.wall > self.until:
                break  # what came after it came later, too
            self._advance(partial(self._had_ended, taken, late.get(taken.place), ahead, number), taken.wall)
            if taken.at is not None:
                self._comes_to(taken.at)
            before, retries = self._snapshot(), self._retries()
            if not self._is_over:
                self._take(taken)
                if self._passed_over(retries):
                    self._restore(before)
                    self._wake_wall(min(each.due for each in retries))
                    before = self._snapshot()
                    self._take(taken)
                self._note_failures(before)
                self._is_over = self._agreement(before) == "later"
            if self._is_over:
                self._restore(before)
                break
            self._last_wall = taken.wall
        else:
            number = len(inputs)
        wall = min(self.until, self.wall_now) if self.live else self.wall_now
        self._advance(partial(self._has_ended, clock_now, ahead, number), wall)
        for taken in (*inputs[number:], *(taken for taken in self.memory.inputs if not self._was_taken(taken))):
            if not self.live or taken.wall <= self.until:
                self._not_taken(taken)
        if not self.live:
            self._comes_to(clock_now)
            self.trace.entries = [each for each in self.trace.entries if self._is_told(each)]
        cross_check(self.trace, self.memory.decisions, self._upto, self.memory.kept_since)
        standing(self.trace, self._past or self.customer, self._breaker.stopped, self.until, wall)
        if self.memory.record is not None and not self.is_past:
            compare(self.trace, self.program, self.customer, self.memory.record)
        return self.trace.entries

    # -- time goes on

    def _due_to_this_day(self) -> int:
        """The earliest moment of her waits that have not ended, as the store has it; who rests has none."""
        if self.memory.record is None:
            return NEVER
        self._breaker.ask(self.memory.stopped)
        due = self.engine.waits.next_wake(self.memory.record)
        self._breaker.ask(frozenset())
        return due

    def _had_ended(self, taken: Taken, note: Late | None, ahead: Ahead, number: int, until: int, due: int) -> bool:
        """Whether a wait had ended before this input came."""
        if note is not None:
            return until < note.due
        if ahead.comes_before(until, number):
            return False
        if taken.at is not None:
            return until < taken.at
        if self.live:
            return due < taken.wall
        # On the log's own time a result tells no more than that its message had been sent.
        return isinstance(taken.what, Delivery) and self._is_yet_to_send(taken.what)

    def _has_ended(self, clock_now: int, ahead: Ahead, number: int, until: int, due: int) -> bool:
        """Whether it had by the moment that is asked about."""
        if (self.live and until > self.until) or ahead.comes_before(until, number):
            return False
        return self.memory.record is not None or due < clock_now

    def _advance(self, has_ended: Callable[[int, int], bool], wall: int) -> None:
        """Wake her where a wait has ended, in order of time."""
        while not self._is_over:
            event_due, wall_due, _ = self.engine.waits.dues(self.customer)
            until = self.engine.waits.next_wake(self.customer)
            if event_due != NEVER and has_ended(until, event_due):
                went_on = self._wake_in_turn(until, event_due, wall_due, wall)
            elif wall_due <= wall:
                went_on = self._goes_before(until, event_due) or self._wake_wall(wall_due)
            else:
                break
            if not went_on:
                break

    def _wake_in_turn(self, until: int, event_due: int, wall_due: int, wall: int) -> bool:
        """A wait has ended, and perhaps a message is to be tried again: which comes first, the store may tell."""
        retries, before = self._retries(), self._snapshot()
        known = self._published(retries)
        went_on = self._wake(until, event_due)
        made = self._places_since(before)
        if self._passed_over(retries):
            is_first = False
        else:
            is_first = min(made) < known if known and made else event_due <= wall_due or wall_due > wall
        if self._is_over or (went_on and is_first):
            return went_on
        if went_on:
            self._restore(before)
        if self.live and wall_due > wall:
            return False
        return self._wake_wall(wall_due) or (went_on and self._wake(until, event_due))

    def _goes_before(self, until: int, event_due: int) -> bool:
        """Wake her where a wait must have ended, since what came of it was published before the next retry."""
        known = self._published(self._retries())
        if known is None or event_due == NEVER:
            return False
        before = self._snapshot()
        if self._wake(until, event_due) and (made := self._places_since(before)) and min(made) < known:
            return True
        self._is_over = False
        self._restore(before)
        return False

    def _places_since(self, before: _Snapshot) -> list[tuple[int, int]]:
        """Where the log has what was decided since."""
        told = (self.memory.decisions.get(each.decision_id) for each in self.effects.decisions[before.marks[0] :])
        return [each.place for each in told if each is not None and each.wall]

    def _retries(self) -> list[Pending]:
        """Her messages that are to be tried again by the wall clock."""
        return [each for each in self.customer.pending if each.clock == WALL_CLOCK and not each.awaiting]

    def _passed_over(self, retries: list[Pending]) -> bool:
        """Whether one of them is gone untried, though the store has what was decided of it next."""
        there = {each.message_id for each in self.customer.pending}
        return self._published(each for each in retries if each.message_id not in there) is not None

    def _published(self, retries: Iterable[Pending]) -> tuple[int, int] | None:
        """Where the log has the first decision that was made of one of these messages next."""
        names = (f"{each.message_id}-{each.decisions}" for each in retries)
        told = (self.memory.decisions.get(name) for name in names)
        return min((each.place for each in told if each is not None and each.wall), default=None)

    def _wake(self, until: int, due: int) -> bool:
        """Wake what is due then; False where nothing went on."""
        self._comes_to(until)
        before = self._snapshot()
        self._wake_at(max(due, until) + 1, max(until, self._last_wall))
        self._note_failures(before)
        agreed = self._agreement(before)
        self._is_over = agreed == "later"
        if self._is_over or (agreed == "missing" and self._rests(before)):
            self._restore(before)
            return True
        return self.engine.waits.next_wake(self.customer) > until

    def _wake_wall(self, due: int) -> bool:
        before = self._snapshot()
        self.engine.on_wall(self.customer, due, due, self.effects)
        self._note_failures(before)
        agreed = self._agreement(before)
        if agreed in ("later", "missing") or (agreed == "nothing" and self._store_still_waits(due)):
            self._restore(before)  # no worker has come to it yet
            return False
        return True

    def _store_still_waits(self, due: int) -> bool:
        record = self.memory.record if not self.is_past else None
        return record is not None and any(each.awaiting and each.due >= due for each in record.pending)

    def _agreement(self, before: _Snapshot) -> Literal["same", "missing", "later", "nothing", "unknown"]:
        """Whether the store holds what was decided since; `later`: it was published after the moment asked for."""
        made = self.effects.decisions[before.marks[0] :]
        if not made:
            return "nothing"
        for decision in made:
            told = self.memory.decisions.get(decision.decision_id)
            if told is None:
                return "missing" if parse_instant(decision.at) >= self.memory.kept_since else "unknown"
            if self.live and not self._upto(told):
                return "later"
            if (told.decision.outcome, told.decision.reason) != (decision.outcome, decision.reason):
                return "missing"
        return "same"

    def _rests(self, before: _Snapshot) -> bool:
        """From here on a flow rests that is stopped now; nobody in it is woken."""
        made = {decision.flow for decision in self.effects.decisions[before.marks[0] :]}
        resting = {name for name in made & self.memory.stopped if self.program.by_name[name].while_stopped == "rest"}
        if resting:
            self._breaker.ask(self._breaker.stopped | resting)
        return bool(resting)

    # -- what comes in

    def _comes_to(self, moment: int) -> None:
        """Before anything after the moment asked about: how she stood then."""
        if not self.live and self._past is None and moment > self.until:
            self._past = customers.decode(customers.encode(self.customer))

    def _is_told(self, entry: Entry) -> bool:
        """On the log's own time the whole history is run, and told as far as it had come."""
        if entry.what == "delivery":
            return entry.message_id in self._sent
        return entry.at <= self.until or entry.what == "rejected"

    def _upto(self, told: Recalled) -> bool:
        if self.live and told.wall is not None:
            return told.wall <= self.until
        return parse_instant(told.decision.at) <= self.until

    def _take(self, taken: Taken) -> None:
        until = self.engine.waits.next_wake(self.customer) if self.held else 0
        match taken.what:
            case Rejected():
                self.trace.at = taken.wall
                self.trace.add(
                    "rejected",
                    reason=taken.what.reason,
                    detail=taken.what.error,
                    topic=taken.topic,
                    partition=taken.partition,
                    offset=taken.offset,
                )
            case Delivery() as delivery:
                self._take_delivery(delivery, taken)
            case DeadLetter():
                self._give_back(taken.what, taken.wall)
            case Announced(known, claim, at):
                aliasing.announce(self.customer, known, claim, at)
            case CatalogueChange() if not self._waits_for(taken.what):
                pass
            case Event() as event if (taken.topic, taken.partition, taken.offset) in self.memory.forwarded:
                self.engine.tell_forwarded(Arrived(event, taken.cause), self.customer)
            case Event() as event:
                if self.memory.known_since == taken.wall:
                    self.customer.known = not aliasing.is_alias(self.customer)
                self._take_event(Arrived(event, taken.cause, taken.wall / 1000), taken.wall)
            case Forward() as word:
                self._take_forward(word, taken)
            case word:
                if isinstance(word, Refusal):
                    self.trace.at = word.at
                    self.trace.add("claim_refused", name=word.anonymous, reason=word.reason)
                for delivery in self.engine.meeting.take(self.customer, word, self.effects):
                    self._take_delivery(delivery, taken)
        if self.held and self.engine.waits.next_wake(self.customer) > until:
            self._wake_at(0, taken.wall)  # those held, up to her next wait

    def _take_event(self, arrived: Arrived, wall: int) -> None:
        outcome = self.engine.on_event(self.customer, arrived, wall, self.effects)
        if outcome == "held":
            insort(self.held, (_place(arrived), arrived), key=lambda entry: entry[0])

    def _take_delivery(self, delivery: Delivery, taken: Taken) -> None:
        wall = self._wall_of(delivery, taken.wall)
        self.engine.on_delivery(self.customer, delivery, wall, self.effects, taken.cause)

    def _take_forward(self, word: Forward, taken: Taken) -> None:
        if word.kind == "delivery":
            self._take_delivery(msgspec.json.decode(word.value, type=Delivery), taken)
        elif joining.is_new(self.customer, word):
            if word.kind == "letter":
                self._give_back(dead_letters.from_json(word.value), taken.wall)
                return
            cause = Cause(word.topic, word.partition, word.offset)
            self._take_event(Arrived(event_codec.decode(word.value), cause, word.appended_at), taken.wall)

    def _wake_at(self, clock: int, wall: int) -> None:
        held = [arrived for _, arrived in self.held]
        applied = self.engine.wake(self.customer, clock, wall, self.effects, held)
        del self.held[:applied]

    def _waits_for(self, change: CatalogueChange) -> bool:
        product = change.product_id
        interest = self.customer.interests.get(product)
        if interest is not None and (interest.waits or self.engine.meeting.may_bring(self.customer)):
            return True
        held = (arrived.event for _, arrived in self.held)
        return any(isinstance(event, ProductEvent) and event.product_id == product for event in held)

    def _give_back(self, letter: DeadLetter, wall: int) -> None:
        flow = self.program.by_name.get(letter.flow)
        if flow is None:
            return
        fact = event_codec.decode(base64.b64decode(letter.fact))
        turn = Turn(self.customer, wall, self.effects, Cause(letter.topic, letter.partition, letter.offset))
        self.trace.at = wall
        self.engine.retry(self.customer, flow, letter.passage, fact, turn)

    def _is_yet_to_send(self, told: Delivery) -> bool:
        sent = sum(each.outcome == "send" and each.message_id == told.message_id for each in self.effects.decisions)
        return sent < min(told.attempt, self._ever_sent[told.message_id])

    def _was_taken(self, taken: Taken) -> bool:
        return taken.offset < self.memory.watermarks.get(TopicPartition(taken.topic, taken.partition), 0)

    def _not_taken(self, taken: Taken) -> None:
        self.trace.at = taken.at or taken.wall
        name = type(taken.what).__name__
        place = {"topic": taken.topic, "partition": taken.partition, "offset": taken.offset}
        self.trace.add("not_taken", name=name, **place)

    # -- the clocks as they were

    def _recall(self, turn: Turn, pending: Pending) -> None:
        """Before a look at a message: what the store knows of when it was taken, and of how it went."""
        told = self.memory.decisions.get(f"{pending.message_id}-{pending.decisions}")
        self._fail_as_then(pending)
        others = self._breaker.stopped - {pending.flow}
        stopped = told is not None and told.decision.reason == "flow_stopped"
        self._breaker.ask(others | {pending.flow} if stopped else others)
        if told is not None:
            looked_at, template = told.wall or 0, self.program.templates.get(pending.template)
            if template is not None and told.decision.reason != "expired":
                # It was published a moment after the look, and until then it was in time.
                looked_at = min(looked_at, pending.at + template.within_ms)
            turn.wall = max(turn.wall, looked_at)
            turn.stalled = told.decision.stalled

    def _fail_as_then(self, pending: Pending) -> None:
        for letter in self._failures:
            passage = letter.passage
            if not passage and letter.flow == pending.flow:
                fact = event_codec.decode(base64.b64decode(letter.fact))
                passage = self.ids.passage(fact.customer, letter.flow, pending.subject, fact.id)
            if passage == pending.passage and letter.wait in ("", pending.wait):
                self._failures.remove(letter)
                self._failed_then = letter.error
                raise FailedThen

    def _note_failures(self, before: _Snapshot) -> None:
        """A failure of then is told with the traceback of then; one that happens again is that of its dead letter."""
        for fault in self.effects.faults[before.faults :]:
            for letter in self._failures:
                if (letter.flow, letter.passage, letter.wait) == (fault.flow, fault.passage, fault.wait):
                    self._failures.remove(letter)
                    break
        for entry in self.trace.entries[before.entries :]:
            if entry.what == "flow_error" and entry.detail.startswith(FailedThen.__name__):
                entry.detail = self._failed_then

    def _wall_of(self, delivery: Delivery, wall: int) -> int:
        """When the shard read a result: the retry it was put off to tells."""
        pending = next((each for each in self.customer.pending if each.message_id == delivery.message_id), None)
        if pending is None:
            return wall
        told = self.memory.decisions.get(f"{pending.message_id}-{pending.decisions}")
        if told is None or not told.decision.until or told.decision.reason not in ("retry", "stale"):
            return wall
        delay = results.retry_delay(self.ids, pending.message_id, pending.attempt, delivery.retry_after_seconds)
        return parse_instant(told.decision.until) - delay

    # -- going back

    def _snapshot(self) -> _Snapshot:
        held = [arrived for _, arrived in self.held]
        marks = self.effects.mark()
        return _Snapshot(
            customers.encode(self.customer),
            self.trace.at,
            len(self.trace.entries),
            marks,
            len(self.effects.faults),
            held,
            list(self._failures),
        )

    def _restore(self, before: _Snapshot) -> None:
        self.customer = customers.decode(before.customer)
        self.trace.at = before.at
        del self.trace.entries[before.entries :]
        del self.effects.faults[before.faults :]
        self.effects.take_back(before.marks)
        self.held = [(_place(arrived), arrived) for arrived in before.held]
        self._failures = list(before.failures)


def _place(arrived: Arrived) -> tuple[int, str, int, int]:
    cause = arrived.cause
    return arrived.event.at, cause.topic, cause.partition, cause.offset
