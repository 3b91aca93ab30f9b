"""One shard: customers, their timers and their decisions, moved by what the sources bring.

A batch of inputs becomes one write: customers, timers, watermarks, decisions and the outbox together.
Only after that write does anything leave.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

import msgspec

from operators import balance, metrics, set_aside
from operators.aliasing import is_alias, is_received
from operators.clock import ShardClock
from operators.comparison import Trials
from operators.crossing import MAY_CLAIM, Crossing, forward_delivery, forward_letter, learn
from operators.effects import Effects
from operators.engine import Arrived
from operators.fanout import Fanout
from operators.held import Held
from operators.inputs import DELIVERIES, INTERNAL, OURS, Input, Progress, SubBatch
from operators.joining import has_aliases
from operators.noting import note
from operators.outbox import Outbox
from operators.residents import Entry, Residents
from operators.retention import Retention
from operators.sending import Turn
from operators.surroundings import Surroundings as Surroundings
from operators.tallies import Tallies
from operators.timers import Timers
from state import dead_letters, decisions, event_codec, words
from state.catalogue import CATALOGUE, TOLD_TO_ALL, is_told_to_all
from state.customer import Customer
from state.dead_letters import DeadLetter
from state.decisions import Cause
from state.decode import Rejected, customer_key
from state.events import ProductChanged
from state.instants import parse_instant
from state.messages import MESSAGES, Delivery, Message
from state.records import Record, TopicPartition
from state.store import Batch, ShardStore
from state.store_errors import StoreFull
from state.words import is_word

_MAY_BE_TOLD = frozenset({ProductChanged, Rejected})
_NOBODY = bytes(16)  # what no customer is known to own is kept under the shard's own key

_message = msgspec.json.Encoder()
_delivery = msgspec.json.Decoder(Delivery)


Range = tuple[str, int, int, int, int]
At = tuple[TopicPartition, Record]


class SourceGap(RuntimeError):
    """Inputs are missing between what a shard has and what it is given."""


class Shard:
    """`take` a batch of inputs; what follows then is in the store's outbox, ready to be published."""

    def __init__(self, number: int, store: ShardStore, around: Surroundings) -> None:
        self.number = number
        self.store = store
        self.clock = ShardClock(around.processes, live=around.clock == "live")
        self.made: list[decisions.Decision] = []
        self.letters: list[DeadLetter] = []
        self.messages: list[Message] = []
        self._wall = round(around.wall() * 1000)
        self.residents = Residents(store, around.engine, around.cache_customers, around.ids.item)
        self.outbox = Outbox(store, self._wall)
        self.held = Held(store)
        self.tallies = Tallies(store)
        self._trials = Trials(around.program)
        self._retention = Retention(store, self.residents, around.keep, number) if around.keep else None
        self.around = around
        self.crossing = Crossing(self)
        self.fanout = Fanout(self)
        self._watermarks = {tp: list(mark) for tp, mark in store.watermarks().items()}
        self._moved: set[TopicPartition] = set()
        self.batch: Batch = store.batch()
        self._blank: Effects | None = None
        self._appended: list[float] = []  # when the events entered the log that were decided about at once
        self._timers = Timers(self)
        self._until_mark: set[bytes] = set()  # replay: whose events are held until the next mark
        self._early: list[SubBatch | Range] | None = [] if around.words_first else None

    def take(self, inputs: Sequence[Input]) -> None:
        """Take inputs in and write what follows, all at once.  Raises `SourceGap`."""
        self._wall = round(self.around.wall() * 1000)
        for each in inputs:
            if isinstance(each, SubBatch):
                if self._early is not None and each.topic != INTERNAL:
                    self._early.append(self._unread(each))
                else:
                    self._sub_batch(each)
            elif isinstance(each, Progress):
                self._progress(each)
            else:
                self.crossing.round = each.round
        # Not before the results of couriers are known: a shard put back must not give up what was long accepted.
        # Nor before the events until then: she may have withdrawn her consent while nobody looked.
        until = self._wall if self.around.clock == "replay" else min(self._wall, self.clock.now or 0)
        if until >= self._timers.wall_due and self.clock.settled:
            self._timers.wake_by_wall(self._wall, until)
        self.write()
        if self._early is None:
            self.fanout.go_on(self._wall, wait=any(isinstance(each, SubBatch) for each in inputs))
        while not self.around.publishes and self.behind:
            # A replay has nobody to hurry for: all that is due is woken before the next input.
            self._wake_due()
            self.write()

    def tick(self) -> None:
        """Go on with the timers that the last batch had no room for."""
        self._wall = round(self.around.wall() * 1000)
        self._wake_due()
        self.write()

    @property
    def behind(self) -> bool:
        """Whether timers are due that the last batch had no room for."""
        clock = self.clock.now
        return clock is not None and self._timers.event_due < clock

    def watermarks(self) -> dict[TopicPartition, int]:
        """The first offset not taken in of each partition: where the first start began, if nothing came since."""
        return {**self.around.origins, **{tp: mark[0] for tp, mark in self._watermarks.items()}}

    def write(self) -> None:
        """One write for everything since the last; then a bite of what need not be kept."""
        if (
            self.residents.dirty
            or self._moved
            or self._timers.has_cleared
            or self.fanout.has_news
            or not self.outbox.is_idle
        ):
            self._commit()
        if self._retention is not None:
            now = self._wall if self.around.clock == "live" else self.clock.now
            self._retention.bite(self._wall, now or 0)

    def _commit(self) -> None:
        batch = self.batch
        self.residents.save(batch)
        for chash, product in self.held.save(batch):
            self.residents.may_wait(batch, chash, product)
        for tp in self._moved:
            offset, reached = self._watermarks[tp]
            batch.set_watermark(tp, offset, reached)
        self.outbox.save(batch)
        self.tallies.save(batch)
        self.fanout.save(batch, self.residents.indexed)
        while True:
            try:
                self.store.commit(batch)
            except StoreFull as full:
                self.around.on_full(full)
            else:
                break
        self._timers.saved()
        self.residents.saved()
        self.fanout.saved()
        self.outbox.saved(self._wall)
        self.held.saved()
        self._moved.clear()
        self.batch = self.store.batch()
        if self._appended:
            now = self.around.wall()
            for appended_at in self._appended:
                metrics.EVENT_TO_DECISION.observe(max(0.0, now - appended_at))
            self._appended.clear()

    # -- inputs

    def _sub_batch(self, batch: SubBatch) -> None:
        tp = TopicPartition(batch.topic, batch.partition)
        mark = self._advance(tp, batch.start, batch.end, batch.reached)
        records = batch.records
        if batch.start < mark:
            records = [record for record in records if record.offset >= mark]
        if batch.topic in OURS:
            take = self._take_delivery if batch.topic == DELIVERIES else self._take_internal
            for record in records:
                take(tp, record)
        elif records:
            self._take_events(tp, records)
        if batch.mark is not None and self.clock.jump(batch.mark):
            self._clock_moved()

    def _progress(self, progress: Progress) -> None:
        moved = self.clock.take(progress.report)
        for each in progress.ranges:
            if self._early is not None and each[0] != INTERNAL:
                self._early.append(each)
            else:
                self._advance(TopicPartition(each[0], each[1]), *each[2:])
        if self._early is not None and self.clock.settled:
            self._take_early(self._early)
        if moved:
            self._clock_moved()

    def _take_early(self, early: list[SubBatch | Range]) -> None:
        """What other shards said by the time of the start has been read: now what couriers told, then all else."""
        self._early = None
        for each in sorted(early, key=lambda each: each[0] != DELIVERIES):
            if isinstance(each, SubBatch):
                self._sub_batch(each)
            else:
                self._advance(TopicPartition(each[0], each[1]), *each[2:])

    def _unread(self, batch: SubBatch) -> SubBatch:
        mark = self._watermarks.get(TopicPartition(batch.topic, batch.partition), (0, 0))[0]
        return batch._replace(records=[record for record in batch.records if record.offset >= mark])

    def _advance(self, tp: TopicPartition, start: int, end: int, reached: int) -> int:
        """Move a watermark; where it stood."""
        mark = self._watermarks.get(tp)
        if mark is None:
            mark = self._watermarks[tp] = [self.around.origins.get(tp, 0), 0]
        before: int = mark[0]
        if start > before:
            raise SourceGap(
                f"{tp.topic}/{tp.partition}, shard {self.number}: read from offset {start}, but the shard has only "
                f"what is before {before}. Stop the worker and start it again: it reads from where its shards are."
            )
        if end > before or reached > mark[1]:
            mark[0] = max(end, before)
            mark[1] = max(reached, mark[1])
            self._moved.add(tp)
        return before

    def _take_events(self, tp: TopicPartition, records: Iterable[Record]) -> None:
        around = self.around
        decode, (topic, partition), clock = around.decoder.decode, tp, around.clock
        now = around.started_ms if clock == "replay" else self._wall
        results: dict[str, int] = {}
        may_tell_all = topic in TOLD_TO_ALL
        for record in records:
            offset, value = record.offset, record.value
            event = around.words.get(tp, offset) if may_tell_all else None
            if event is None:
                key = record.key
                event = decode(value, key=key, topic=topic, partition=partition, offset=offset, now=now, clock=clock)
            if may_tell_all and type(event) in _MAY_BE_TOLD and is_told_to_all(value):
                # All shards hear it; one of them counts it, or sets it aside.
                around.words.keep(tp, offset, event)
                if isinstance(event, ProductChanged):
                    self.fanout.take(tp, record, event)
                if offset % around.shards != self.number:
                    continue
            elif type(event) in MAY_CLAIM and topic != CATALOGUE and not self.crossing.is_mine(tp, record, event):
                continue
            if isinstance(event, Rejected):
                self._set_aside_record(tp, record, event.reason, event.error)
                result = "dead_letter"
            elif not event.customer:
                result = "catalogue"
            else:
                arrived = Arrived(event, Cause(topic, partition, offset), record.timestamp_ms / 1000)
                result = self.on_event(arrived, tp, record)
            results[result] = results.get(result, 0) + 1
        for result, count in results.items():
            metrics.EVENTS.inc(topic, result, by=count)

    def on_event(self, arrived: Arrived, tp: TopicPartition, record: Record) -> str:
        event = arrived.event
        chash = self.around.ids.customer(event.customer.encode())
        entry = self.residents.entry(chash, event.customer)
        customer = entry.customer
        if self.around.engine.links and not customer.known:
            learn(customer, record.value)
        return self.arrive(chash, entry, arrived, (tp, record))

    def arrive(self, chash: bytes, entry: Entry, arrived: Arrived, at: At, *, news: bool = False) -> str:
        """An event comes to a customer, or news that she should have heard before what was due since."""
        customer, engine = entry.customer, self.around.engine
        effects, self._blank = self._blank or Effects(), None
        passages, pending = customer.passages, customer.pending
        if not news:
            self.wake_if_due(chash, entry, effects)
        held_until = engine.waits.next_wake(customer) if news and customer.held else 0
        note(self.around, entry, at, arrived.event.at)
        woken = customer.passages is not passages or customer.pending is not pending
        outcome = engine.on_event(customer, arrived, self._wall, effects, None if woken else entry.wakes_at)
        if outcome == "held":
            self.held.keep(chash, arrived)
            customer.held += 1
            if engine.links == "marks" and has_aliases(customer):
                self._until_mark.add(chash)
        elif customer.held and (not news or engine.waits.next_wake(customer) > held_until):
            self.wake_customer(chash, entry, effects)  # of several news she hears all before what is due since
        if outcome != "duplicate":
            self.residents.dirty[chash] = entry
        moved = customer.passages is not passages or customer.pending is not pending
        if moved or effects.any:
            if effects.decisions:
                self._appended.append(arrived.appended_at)
            self.follow(chash, entry, effects, at)
        else:
            self._blank = effects  # nothing came of it, as of most events: it serves the next one
        return outcome

    def _take_delivery(self, tp: TopicPartition, record: Record) -> None:
        try:
            delivery = _delivery.decode(record.value or b"")
            customer_id = customer_key(record.key)
            if not isinstance(customer_id, str):
                raise ValueError("there is no record key")
        except (msgspec.MsgspecError, ValueError, UnicodeError) as error:
            self._set_aside_record(tp, record, "bad_delivery", type(error).__name__)
            return
        self.deliver(customer_id, delivery, (tp, record))

    def deliver(self, customer_id: str, delivery: Delivery, at: At) -> None:
        tp, record = at
        chash = self.around.ids.customer(customer_id.encode())
        entry = self.residents.entry(chash, customer_id)
        self.fanout.reach(chash, entry)
        effects = Effects()
        engine, customer = self.around.engine, entry.customer
        if is_alias(customer) or is_received(customer):
            forward_delivery(customer, delivery, at, effects)
        if not is_alias(customer):
            cause = Cause(tp.topic, tp.partition, record.offset)
            note(self.around, entry, at, matters=delivery.result not in ("started", "accepted"))
            engine.on_delivery(customer, delivery, self._wall, effects, cause)
            if customer.held:
                self.wake_customer(chash, entry, effects)
        self.residents.dirty[chash] = entry
        self.follow(chash, entry, effects, at)

    def _take_internal(self, tp: TopicPartition, record: Record) -> None:
        """What another shard says of a customer's other ids, or a dead letter that is given back."""
        try:
            if is_word(record.value):
                self.crossing.take(words.decode(record.value or b""), (tp, record))
            else:
                self.give_back(dead_letters.from_json(record.value or b""), (tp, record))
        except (msgspec.MsgspecError, ValueError) as error:
            self._set_aside_record(tp, record, "bad_internal", type(error).__name__)

    def give_back(self, letter: DeadLetter, at: At) -> None:
        """A dead letter of a flow's own failure: that flow alone runs again."""
        fact = event_codec.decode(base64.b64decode(letter.fact))
        flow = self.around.program.by_name.get(letter.flow)
        if flow is None or not letter.customer:
            self._set_aside_record(*at, "flow_gone", f'there is no flow "{letter.flow}" any more')
            return
        chash = self.around.ids.customer(letter.customer.encode())
        entry = self.residents.entry(chash, letter.customer)
        self.fanout.reach(chash, entry)
        effects = Effects()
        self.residents.dirty[chash] = entry
        if is_alias(entry.customer):
            forward_letter(entry.customer, letter, at, effects)
            self.follow(chash, entry, effects, at)
            return
        note(self.around, entry, at)
        cause = Cause(letter.topic, letter.partition, letter.offset)
        turn = Turn(entry.customer, self._wall, effects, cause)
        self.around.engine.retry(entry.customer, flow, letter.passage, fact, turn)
        self.follow(chash, entry, effects, at)
        if letter.passage and self.clock.now is not None:
            self.wake_customer(chash, entry, effects := Effects())
            self.follow(chash, entry, effects, at)

    # -- timers

    def _clock_moved(self) -> None:
        for chash in self._until_mark:
            self.wake(chash, self.residents.entry(chash))
        self._until_mark.clear()
        self._wake_due()

    def _wake_due(self) -> None:
        clock = self.clock.now
        assert clock is not None
        self._timers.wake(clock)

    def wake(self, chash: bytes, entry: Entry) -> None:
        effects, self._blank = self._blank or Effects(), None
        self.wake_customer(chash, entry, effects)
        self.follow(chash, entry, effects, None)
        if not effects.any:
            self._blank = effects

    def wake_if_due(self, chash: bytes, entry: Entry, effects: Effects) -> None:
        """Before anything new: what the clock has long passed, a late event may have brought it."""
        self.fanout.reach(chash, entry)
        clock = self.clock.now
        if clock is not None and entry.event_due < clock:
            self.wake_customer(chash, entry, effects)

    def wake_customer(self, chash: bytes, entry: Entry, effects: Effects) -> None:
        """What is due, and what was held behind a wait that is over or gone."""
        self.fanout.reach(chash, entry)
        customer = entry.customer
        clock = self.clock.now or 0
        held = self.held.of(chash, customer.held) if customer.held else []
        arrived = [each for _, each in held]
        applied = self.around.engine.wake(customer, clock, self._wall, effects, arrived, stalled=self.clock.stalled)
        if applied:
            self.held.release(chash, [key for key, _ in held[:applied]])
            customer.held -= applied
        self.residents.dirty[chash] = entry

    # -- what follows

    def follow(self, chash: bytes, entry: Entry, effects: Effects, at: At | None) -> None:
        if effects.any:
            self._write_down(chash, entry.customer, effects, at)
        self.residents.look(entry)
        self._timers.follow(entry)

    def _write_down(self, chash: bytes, customer: Customer, effects: Effects, at: At | None) -> None:
        for decision in effects.decisions:
            metrics.DECISIONS.inc(decision.flow, decision.outcome, decision.reason)
        if self.around.publishes:
            self._keep(chash, customer.id.encode(), effects)
        else:
            self.made += effects.decisions
            self.messages += effects.messages
        for decision in effects.shadowed:
            metrics.SHADOWED.inc(decision.flow, decision.outcome, decision.reason)
        if effects.drawn or self._trials.modes:
            for key in (*map(balance.key_of, effects.drawn), *self._trials.keys(effects)):
                self.tallies.add(key)
        for fault in effects.faults:
            letter = set_aside.flow(self.around.ids, customer.id, fault, self.number, at, self._wall)
            self._dead_letter(letter, customer.id.encode())
        if effects.lost:
            metrics.LOST_RESULTS.inc(by=effects.lost)
        if effects.words or effects.refused:
            self.crossing.say(chash, effects)

    def _keep(self, chash: bytes, key: bytes, effects: Effects) -> None:
        """Decisions in the store and in the outbox, messages in the outbox."""
        batch = self.batch
        for decision in effects.decisions:
            raw = decisions.to_json(decision)
            batch.add_decision(chash, parse_instant(decision.at), decision.decision_id.encode(), raw)
            self.outbox.add(batch, chash, "decisions", key, raw)
        for message in effects.messages:
            self.outbox.add(batch, chash, MESSAGES, key, _message.encode(message))

    def _set_aside_record(self, tp: TopicPartition, record: Record, reason: str, error: str) -> None:
        letter = set_aside.record(self.around.ids, tp, record, reason, error, self._wall)
        self._dead_letter(letter, record.key or b"")

    def _dead_letter(self, letter: DeadLetter, key: bytes) -> None:
        metrics.DEAD_LETTERS.inc(letter.reason)
        if self.around.publishes:
            self.outbox.add(self.batch, _NOBODY, "dead-letters", key, dead_letters.to_json(letter))
        else:
            self.letters.append(letter)
