"""Why a customer did or did not get a message: her own history run again, alone, with a witness.

The same engine takes the same records, with the clocks as they were as far as anybody wrote them down: when a
record entered the log, when a decision was published.  The shard clock may have been later than that, never
earlier; where a late event was taken in before a wait ended, the decisions in the store tell.  What the
re-run decides is compared with what the store holds, and every difference is told.  Pure: time is an argument.
"""

from __future__ import annotations

import base64
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from operators import aliasing, joining, results
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
from state.catalogue import CatalogueChange
from state.customer import Customer
from state.dead_letters import DeadLetter
from state.decisions import Cause
from state.decode import Rejected
from state.events import Event
from state.ids import Ids
from state.instants import parse_instant
from state.messages import Delivery
from state.passages import NEVER, Pending
from state.records import TopicPartition
from state.words import Forward, Refusal

BURST_MS = 2_000  # records that entered the log closer together were most likely read together


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


@dataclass
class _Late:
    """Wakes due at or after `due` wait until the inputs up to `last` have been taken in."""

    due: int = NEVER
    last: int = -1


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
) -> list[Entry]:
    """All that happened to her until then, and why.

    `until` is a moment of the deployment's clock; `clock_now` is how far the shard clock is known to have come.
    """
    return Rerun(program, rules, ids, memory, clock == "live", until, wall_now).play(clock_now)


@dataclass
class Rerun:
    """One customer's life, once more."""

    program: Program
    rules: Rules
    ids: Ids
    memory: Memory
    live: bool
    until: int
    wall_now: int
    trace: Trace = field(default_factory=Trace)
    effects: Effects = field(default_factory=Effects)
    held: list[tuple[tuple[int, str, int, int], Arrived]] = field(default_factory=list)
    clock: int = 0

    def __post_init__(self) -> None:
        self._breaker = NeverStops()
        self.customer = Customer(id=self.memory.customer, arms=dict(self.memory.arms))
        self._late = _Late()
        self._last_wall = 0
        self._failures = list(self.memory.failures)
        self._failed_then = ""
        self._sent = {
            told.decision.message_id
            for told in self.memory.decisions.values()
            if told.decision.outcome == "send" and self._upto(told)
        }
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
        inputs = [each for each in self.memory.inputs if self._happened(each)]
        for place, taken in enumerate(inputs):
            if taken.offset >= self.memory.watermarks.get(TopicPartition(taken.topic, taken.partition), 0):
                self._not_taken(taken)
                continue
            clock = taken.wall if self.live else max(self.clock, taken.at or 0)
            if place > self._late.last:
                self._late = _Late()
            self._advance(clock, taken.wall, inputs[place:], place)
            self._advance_as_the_store_says(taken.wall, self._late.due - 1)
            before = self._snapshot()
            self._take(taken)
            self._note_failures(before)
            if self._agreement(before) == "later":
                self._restore(before)
                self._not_taken(taken)
            self._last_wall = taken.wall
        self._late = _Late()
        wall = min(self.until, self.wall_now) if self.live else self.wall_now
        self._advance(min(clock_now, self.until), wall, (), 0)
        self._advance_as_the_store_says(wall, self.until)
        cross_check(self.trace, self.memory.decisions, self._upto, self.memory.kept_since)
        standing(self.trace, self.customer, self._breaker.stopped, self.until, wall)
        if self.memory.record is not None:
            compare(self.trace, self.program, self.customer, self.memory.record)
        return self.trace.entries

    # -- time goes on

    def _advance(self, clock: int, wall: int, ahead: Sequence[Taken], place: int) -> None:
        """Everything that was due before this input, in order of time."""
        while True:
            event_due, wall_due = self.engine.dues(self.customer)
            limit = min(clock, self._late.due)
            if event_due < limit and (event_due <= wall_due or wall_due > wall):
                went_on = self._wake(event_due, ahead, place)
            elif wall_due <= wall:
                went_on = self._wake_wall(wall_due)
            else:
                break
            if not went_on:
                break
        self.clock = max(self.clock, min(clock, self._late.due))

    def _wake(self, due: int, ahead: Sequence[Taken], place: int) -> bool:
        """Wake what is due then; False (and nothing done) where it was not woken before the inputs ahead."""
        before = self._snapshot()
        held = [arrived for _, arrived in self.held]
        applied = self.engine.wake(self.customer, due + 1, max(due, self._last_wall), self.effects, held)
        del self.held[:applied]
        self._note_failures(before)
        if self.engine.dues(self.customer)[0] <= due:
            return False
        agreed = self._agreement(before)
        if agreed == "later" or (agreed == "missing" and self._rests(before)):
            self._restore(before)
            return agreed != "later"
        late = _last_late(ahead, due)
        if late is None or agreed == "same" or (agreed != "missing" and not self._was_read_together(due, ahead[late])):
            return True
        self._restore(before)
        self._late = _Late(due, place + late)
        return False

    def _wake_wall(self, due: int) -> bool:
        before = self._snapshot()
        self.engine.on_wall(self.customer, due, self.effects)
        self._note_failures(before)
        agreed = self._agreement(before)
        if agreed in ("later", "missing") or (agreed == "nothing" and self._store_still_waits(due)):
            self._restore(before)  # no worker has come to it yet
            return False
        return True

    def _store_still_waits(self, due: int) -> bool:
        record = self.memory.record
        return record is not None and any(each.awaiting and each.due >= due for each in record.pending)

    def _advance_as_the_store_says(self, wall: int, until: int) -> None:
        """The clock may have come further than her own records tell: as far as the store shows that she was woken.

        A wake without a decision counts where one with a decision of the store follows, or her present record.
        """
        doubtful: _Snapshot | None = None
        while True:
            event_due, wall_due = self.engine.dues(self.customer)
            if event_due > until and wall_due > wall:
                break
            before = self._snapshot()
            if event_due <= until:
                held = [arrived for _, arrived in self.held]
                applied = self.engine.wake(self.customer, event_due + 1, event_due, self.effects, held)
                del self.held[:applied]
            else:
                self.engine.on_wall(self.customer, wall_due, self.effects)
            self._note_failures(before)
            agreed = self._agreement(before, wall)
            if agreed == "same":
                doubtful = None
            elif agreed == "nothing" and self.engine.dues(self.customer) != (event_due, wall_due):
                doubtful = doubtful or (None if wall >= self.wall_now and self._store_went_on(before) else before)
            else:
                doubtful = doubtful or before
                break
        if doubtful is not None:
            self._restore(doubtful)

    def _was_read_together(self, due: int, late: Taken) -> bool:
        """Nothing was decided either way: was the late event read before the clock could pass the wait?"""
        return not self.live or late.wall - max(due, self._last_wall) < BURST_MS

    def _agreement(
        self, before: _Snapshot, wall: int = NEVER
    ) -> Literal["same", "missing", "later", "nothing", "unknown"]:
        """Whether the store holds what was decided since; `later`: it was published after the moment asked for."""
        made = self.effects.decisions[before.marks[0] :]
        if not made:
            return "nothing"
        for decision in made:
            told = self.memory.decisions.get(decision.decision_id)
            if told is None:
                return "missing" if parse_instant(decision.at) >= self.memory.kept_since else "unknown"
            if not self._upto(told) or (wall != NEVER and (told.wall or 0) > wall):
                return "later"
            if (told.decision.outcome, told.decision.reason) != (decision.outcome, decision.reason):
                return "missing"
        return "same"

    def _store_went_on(self, before: _Snapshot) -> bool:
        """Whether the store's own record shows that a wake without a decision has been."""
        record = self.memory.record
        if record is None:
            return False
        there = {(each.id, each.wait) for each in record.passages}
        was = {(each.id, each.wait) for each in customers.decode(before.customer).passages}
        now = {(each.id, each.wait) for each in self.customer.passages}
        return not (was - now) & there

    def _rests(self, before: _Snapshot) -> bool:
        """From here on a flow rests that is stopped now; nobody in it is woken."""
        made = {decision.flow for decision in self.effects.decisions[before.marks[0] :]}
        resting = {name for name in made & self.memory.stopped if self.program.by_name[name].while_stopped == "rest"}
        if resting:
            self._breaker.ask(self._breaker.stopped | resting)
        return bool(resting)

    # -- what comes in

    def _happened(self, taken: Taken) -> bool:
        if self.live:
            return taken.wall <= self.until
        match taken.what:
            case Event() | Forward():
                return (taken.at or 0) <= self.until
            case Delivery():
                return taken.what.message_id in self._sent
            case _:
                return True

    def _upto(self, told: Recalled) -> bool:
        if self.live and told.wall is not None:
            return told.wall <= self.until
        return parse_instant(told.decision.at) <= self.until

    def _take(self, taken: Taken) -> None:
        until = self.engine.next_wake(self.customer) if self.held else 0
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
                self._wake_at(self.clock, taken.wall)
        if self.held and self.engine.next_wake(self.customer) > until:
            self._wake_at(self.clock, taken.wall)

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
        interest = self.customer.interests.get(change.product_id)
        return bool(self.held) or (interest is not None and interest.waits)

    def _give_back(self, letter: DeadLetter, wall: int) -> None:
        flow = self.program.by_name.get(letter.flow)
        if flow is None:
            return
        fact = event_codec.decode(base64.b64decode(letter.fact))
        turn = Turn(self.customer, wall, self.effects, Cause(letter.topic, letter.partition, letter.offset))
        self.trace.at = wall
        self.engine.retry(self.customer, flow, letter.passage, fact, turn)

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
            turn.wall = max(turn.wall, told.wall or 0)
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
        )

    def _restore(self, before: _Snapshot) -> None:
        self.customer = customers.decode(before.customer)
        self.trace.at = before.at
        del self.trace.entries[before.entries :]
        del self.effects.faults[before.faults :]
        self.effects.take_back(before.marks)
        self.held = [(_place(arrived), arrived) for arrived in before.held]


def _place(arrived: Arrived) -> tuple[int, str, int, int]:
    cause = arrived.cause
    return arrived.event.at, cause.topic, cause.partition, cause.offset


def _last_late(ahead: Sequence[Taken], due: int) -> int | None:
    """The last of the inputs ahead that is an event from before this moment, so that it may have come first."""
    late = [place for place, taken in enumerate(ahead) if taken.at is not None and taken.at <= due]
    return late[-1] if late else None
