"""One shard: customers, their timers and their decisions, moved by what the sources bring.

A batch of inputs becomes one write: customers, timers, watermarks, decisions and the outbox together.
Only after that write does anything leave.
"""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from operators import counts, metrics, set_aside
from operators.clock import ShardClock
from operators.effects import Effects, FlowFault
from operators.engine import Arrived, Engine
from operators.inputs import DELIVERIES, INTERNAL, Input, Progress, SubBatch
from operators.program import Program
from operators.sending import Turn
from state import customer as customers
from state import dead_letters, decisions, event_codec
from state.customer import Customer
from state.dead_letters import DeadLetter
from state.decisions import Cause
from state.decode import Decoder, Rejected, customer_key
from state.ids import Ids
from state.instants import parse_instant
from state.messages import Delivery, Message
from state.passages import EVENT_CLOCK, NEVER, WALL_CLOCK
from state.records import Record, TopicPartition
from state.store import Batch, Row, ShardStore

DUE_MAX = 512
_NOBODY = bytes(16)  # what no customer is known to own is kept under the shard's own key

_message = msgspec.json.Encoder()
_delivery = msgspec.json.Decoder(Delivery)
_held_encode = msgspec.msgpack.Encoder().encode
_Held = tuple[bytes, str, int, int, float]
_held_decode = msgspec.msgpack.Decoder(_Held).decode


class SourceGap(RuntimeError):
    """Inputs are missing between what a shard has and what it is given."""


@dataclass(slots=True)
class Entry:
    """A customer in the cache, and which waits her stored record is counted at."""

    customer: Customer
    parked: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Surroundings:
    """What the shards of a process share.  `wall` gives seconds since 1970."""

    engine: Engine
    program: Program
    ids: Ids
    decoder: Decoder
    wall: Callable[[], float]
    clock: Literal["live", "replay"]
    processes: int
    started_ms: int
    cache_customers: int  # per shard
    publishes: bool  # False: decisions are handed back, not written to the outbox
    origins: Mapping[TopicPartition, int] = field(default_factory=dict)  # where the first start began


class Shard:
    """`take` a batch of inputs; `rows` then are in the store's outbox, ready to be published."""

    def __init__(self, number: int, store: ShardStore, around: Surroundings) -> None:
        self.number = number
        self.store = store
        self.clock = ShardClock(around.processes, live=around.clock == "live")
        self.acked: list[int] = []
        self.made: list[decisions.Decision] = []
        self.letters: list[DeadLetter] = []
        self.messages: list[Message] = []
        self.ready: list[Row] = []
        self.parked, self.timers = counts.decode(store.meta(counts.META))
        self.outbox_rows = store.outbox_rows()
        self._around = around
        self._watermarks = {tp: list(mark) for tp, mark in store.watermarks().items()}
        self._cache: OrderedDict[bytes, Entry] = OrderedDict()
        self._dirty: dict[bytes, Entry] = {}
        self._moved: set[TopicPartition] = set()
        self._batch: Batch = store.batch()
        self._held_new: dict[bytes, list[tuple[bytes, bytes]]] = {}
        self._released: set[bytes] = set()
        self._rows: list[Row] = []
        self._forgot = False
        self._outbox_next = store.last_outbox() + 1
        self._due = {clock: store.first_due(clock) for clock in (EVENT_CLOCK, WALL_CLOCK)}
        self._wall = 0

    def take(self, inputs: Iterable[Input]) -> None:
        """Take inputs in and write what follows, all at once.  Raises `SourceGap`."""
        self._wall = round(self._around.wall() * 1000)
        for each in inputs:
            if isinstance(each, SubBatch):
                self._sub_batch(each)
            else:
                self._progress(each)
        if self._wall >= self._due[WALL_CLOCK]:
            self._wake_wall()
        self.write()
        while not self._around.publishes and self.behind:
            # A replay has nobody to hurry for: all that is due is woken before the next input.
            self._wake_due()
            self.write()

    def tick(self) -> None:
        """Go on with the timers that the last batch had no room for."""
        self._wall = round(self._around.wall() * 1000)
        self._wake_due()
        self.write()

    @property
    def behind(self) -> bool:
        """Whether timers are due that the last batch had no room for."""
        clock = self.clock.now
        return clock is not None and self._due[EVENT_CLOCK] < clock

    def watermarks(self) -> dict[TopicPartition, int]:
        return {tp: mark[0] for tp, mark in self._watermarks.items()}

    def write(self) -> None:
        """One write for everything since the last."""
        if not (self._dirty or self._moved or self.acked or self._rows or self._forgot):
            return
        batch = self._batch
        for chash, entry in self._dirty.items():
            self._save(batch, chash, entry)
        for tp in self._moved:
            offset, reached = self._watermarks[tp]
            batch.set_watermark(tp, offset, reached)
        for seq in self.acked:
            batch.remove_outbox(seq)
        if self._dirty:
            self._count_parked()
            batch.set_meta(counts.META, counts.encode(self.parked, self.timers))
        self.store.commit(batch)
        self._dirty.clear()
        self._moved.clear()
        self._forgot = False
        self.outbox_rows += len(self._rows) - len(self.acked)
        self.acked.clear()
        self._held_new.clear()
        self._released.clear()
        self.ready += self._rows
        self._rows = []
        self._batch = self.store.batch()
        while len(self._cache) > self._around.cache_customers:
            self._cache.popitem(last=False)

    # -- inputs

    def _sub_batch(self, batch: SubBatch) -> None:
        tp = TopicPartition(batch.topic, batch.partition)
        mark = self._advance(tp, batch.start, batch.end, batch.reached)
        take = {DELIVERIES: self._take_delivery, INTERNAL: self._take_internal}.get(batch.topic, self._take_event)
        for record in batch.records:
            if record.offset >= mark:
                take(tp, record)
        if batch.mark is not None and self.clock.jump(batch.mark):
            self._wake_due()

    def _progress(self, progress: Progress) -> None:
        for topic, partition, start, end, reached in progress.ranges:
            self._advance(TopicPartition(topic, partition), start, end, reached)
        if self.clock.take(progress.report):
            self._wake_due()

    def _advance(self, tp: TopicPartition, start: int, end: int, reached: int) -> int:
        """Move a watermark; where it stood."""
        mark = self._watermarks.get(tp)
        if mark is None:
            mark = self._watermarks[tp] = [self._around.origins.get(tp, 0), 0]
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

    def _take_event(self, tp: TopicPartition, record: Record) -> None:
        around = self._around
        replay = around.clock == "replay"
        event = around.decoder.decode(
            record.value,
            key=record.key,
            topic=tp.topic,
            partition=tp.partition,
            offset=record.offset,
            now=around.started_ms if replay else self._wall,
            clock=around.clock,
        )
        if isinstance(event, Rejected):
            self._set_aside_record(tp, record, event.reason, event.error)
            metrics.EVENTS.inc(tp.topic, "dead_letter")
            return
        if not event.customer:
            metrics.EVENTS.inc(tp.topic, "catalogue")
            return
        arrived = Arrived(event, Cause(tp.topic, tp.partition, record.offset), record.timestamp_ms / 1000)
        metrics.EVENTS.inc(tp.topic, self._on_event(arrived, tp, record))

    def _on_event(self, arrived: Arrived, tp: TopicPartition, record: Record) -> str:
        event = arrived.event
        chash = self._around.ids.customer(event.customer.encode())
        entry = self._entry(chash, event.customer)
        customer = entry.customer
        effects = Effects()
        clock = self.clock.now
        before = customer.passages, customer.pending
        if clock is not None and customer.event_timer < clock and self._around.engine.dues(customer)[0] < clock:
            self._wake_customer(chash, entry, effects)
        outcome = self._around.engine.on_event(customer, arrived, self._wall, effects)
        if outcome == "held":
            self._hold(chash, customer, arrived)
        if outcome != "duplicate":
            self._dirty[chash] = entry
            moved = customer.passages is not before[0] or customer.pending is not before[1]
            if moved or effects.decisions or effects.faults:
                self._follow(chash, customer, effects, (tp, record))
        return outcome

    def _hold(self, chash: bytes, customer: Customer, arrived: Arrived) -> None:
        cause = arrived.cause
        row: _Held = (
            event_codec.encode(arrived.event),
            cause.topic,
            cause.partition,
            cause.offset,
            arrived.appended_at,
        )
        tp = TopicPartition(cause.topic, cause.partition)
        raw = _held_encode(row)
        key = self._batch.hold(chash, arrived.event.at, tp, cause.offset, raw)
        self._held_new.setdefault(chash, []).append((key, raw))
        customer.held += 1

    def _take_delivery(self, tp: TopicPartition, record: Record) -> None:
        try:
            delivery = _delivery.decode(record.value or b"")
            customer_id = customer_key(record.key)
            if not isinstance(customer_id, str):
                raise ValueError("there is no record key")
        except (msgspec.MsgspecError, ValueError, UnicodeError) as error:
            self._set_aside_record(tp, record, "bad_delivery", type(error).__name__)
            return
        chash = self._around.ids.customer(customer_id.encode())
        entry = self._entry(chash, customer_id)
        effects = Effects()
        cause = Cause(tp.topic, tp.partition, record.offset)
        self._around.engine.on_delivery(entry.customer, delivery, self._wall, effects, cause)
        self._dirty[chash] = entry
        self._follow(chash, entry.customer, effects, (tp, record))

    def _take_internal(self, tp: TopicPartition, record: Record) -> None:
        """A dead letter of a flow's own failure, given back: that flow alone runs again."""
        try:
            letter = dead_letters.from_json(record.value or b"")
            fact = event_codec.decode(base64.b64decode(letter.fact))
        except (msgspec.MsgspecError, ValueError) as error:
            self._set_aside_record(tp, record, "bad_internal", type(error).__name__)
            return
        flow = self._around.program.by_name.get(letter.flow)
        if flow is None or not letter.customer:
            self._set_aside_record(tp, record, "flow_gone", f'there is no flow "{letter.flow}" any more')
            return
        chash = self._around.ids.customer(letter.customer.encode())
        entry = self._entry(chash, letter.customer)
        effects = Effects()
        cause = Cause(letter.topic, letter.partition, letter.offset)
        turn = Turn(entry.customer, self._wall, effects, cause)
        self._around.engine.retry(entry.customer, flow, letter.passage, fact, turn)
        self._dirty[chash] = entry
        self._follow(chash, entry.customer, effects, (tp, record))
        if letter.passage and self.clock.now is not None:
            self._wake_customer(chash, entry, effects := Effects())
            self._follow(chash, entry.customer, effects, (tp, record))

    # -- timers

    def _wake_due(self) -> None:
        clock = self.clock.now
        assert clock is not None
        if self._due[EVENT_CLOCK] >= clock:
            return
        for chash, entry in list(self._dirty.items()):
            if self._around.engine.dues(entry.customer)[0] < clock:
                self._wake(chash, entry)
        rows = self.store.due(EVENT_CLOCK, clock, DUE_MAX)
        for due, chash in rows:
            if chash not in self._dirty:
                entry = self._entry(chash)
                if entry.customer.id:
                    self._wake(chash, entry)
                else:
                    self._forget(EVENT_CLOCK, due, chash)
        if len(rows) < DUE_MAX:
            self._due[EVENT_CLOCK] = min(self.store.first_due(EVENT_CLOCK, clock), self._soonest(0))

    def _wake_wall(self) -> None:
        wall = self._wall
        rows = self.store.due(WALL_CLOCK, wall + 1, DUE_MAX)
        for due, chash in rows:
            entry = self._entry(chash)
            if not entry.customer.id:
                self._forget(WALL_CLOCK, due, chash)
                continue
            effects = Effects()
            self._around.engine.on_wall(entry.customer, wall, effects)
            self._dirty[chash] = entry
            self._follow(chash, entry.customer, effects, None)
        if len(rows) < DUE_MAX:
            self._due[WALL_CLOCK] = min(self.store.first_due(WALL_CLOCK, wall + 1), self._soonest(1))

    def _forget(self, clock: int, due: int, chash: bytes) -> None:
        """The timer of somebody who is no longer there."""
        self._batch.clear_timer(clock, due, chash)
        self._forgot = True
        self._cache.pop(chash, None)

    def _soonest(self, which: int) -> int:
        dues = (self._around.engine.dues(entry.customer)[which] for entry in self._dirty.values())
        return min(dues, default=NEVER)

    def _wake(self, chash: bytes, entry: Entry) -> None:
        effects = Effects()
        self._wake_customer(chash, entry, effects)
        self._follow(chash, entry.customer, effects, None)

    def _wake_customer(self, chash: bytes, entry: Entry, effects: Effects) -> None:
        customer = entry.customer
        clock = self.clock.now
        assert clock is not None
        held: list[Arrived] = []
        keys: list[bytes] = []
        if customer.held:
            stored = [row for row in self.store.held(chash) if row[0] not in self._released]
            for key, raw in sorted(stored + self._held_new.get(chash, [])):
                keys.append(key)
                event, topic, partition, offset, appended_at = _held_decode(raw)
                held.append(Arrived(event_codec.decode(event), Cause(topic, partition, offset), appended_at))
        applied = self._around.engine.wake(customer, clock, self._wall, effects, held)
        for key in keys[:applied]:
            self._batch.release(key)
            self._released.add(key)
        if applied and chash in self._held_new:
            self._held_new[chash] = [row for row in self._held_new[chash] if row[0] not in self._released]
        customer.held -= applied
        self._dirty[chash] = entry

    # -- what follows

    def _follow(
        self, chash: bytes, customer: Customer, effects: Effects, at: tuple[TopicPartition, Record] | None
    ) -> None:
        batch, around = self._batch, self._around
        for decision in effects.decisions:
            raw = decisions.to_json(decision)
            batch.add_decision(chash, parse_instant(decision.at), decision.decision_id.encode(), raw)
            metrics.DECISIONS.inc(decision.flow, decision.outcome, decision.reason)
            if around.publishes:
                self._out(chash, "decisions", customer.id.encode(), raw)
            else:
                self.made.append(decision)
        if not around.publishes:
            self.messages += effects.messages
        for message in effects.messages if around.publishes else ():
            self._out(chash, "messages", customer.id.encode(), _message.encode(message))
        for fault in effects.faults:
            self._set_aside_flow(customer, fault, at)
        event_due, wall_due = around.engine.dues(customer)
        self._due[EVENT_CLOCK] = min(self._due[EVENT_CLOCK], event_due)
        self._due[WALL_CLOCK] = min(self._due[WALL_CLOCK], wall_due)

    def _out(self, chash: bytes, topic: str, key: bytes, value: bytes) -> None:
        seq = self._outbox_next
        self._outbox_next += 1
        self._batch.add_outbox(seq, chash, topic, key, value)
        self._rows.append(Row(seq, chash, topic, key, value))

    def _set_aside_record(self, tp: TopicPartition, record: Record, reason: str, error: str) -> None:
        letter = set_aside.record(self._around.ids, tp, record, reason, error, self._wall)
        self._dead_letter(letter, record.key or b"")

    def _set_aside_flow(self, customer: Customer, fault: FlowFault, at: tuple[TopicPartition, Record] | None) -> None:
        letter = set_aside.flow(self._around.ids, customer.id, fault, self.number, at, self._wall)
        self._dead_letter(letter, customer.id.encode())

    def _dead_letter(self, letter: DeadLetter, key: bytes) -> None:
        metrics.DEAD_LETTERS.inc(letter.reason)
        if self._around.publishes:
            self._out(_NOBODY, "dead-letters", key, dead_letters.to_json(letter))
        else:
            self.letters.append(letter)

    # -- customers

    def _entry(self, chash: bytes, customer_id: str = "") -> Entry:
        entry = self._dirty.get(chash) or self._cache.get(chash)
        if entry is not None:
            self._cache.move_to_end(chash)
            return entry
        raw = self.store.customer(chash)
        customer = customers.decode(raw) if raw is not None else Customer(id=customer_id)
        entry = Entry(customer, _waits(customer))
        self._cache[chash] = entry
        return entry

    def _save(self, batch: Batch, chash: bytes, entry: Entry) -> None:
        customer = entry.customer
        event_due, wall_due = self._around.engine.dues(customer)
        if event_due != customer.event_timer:
            self._move_timer(EVENT_CLOCK, customer.event_timer, event_due, chash)
            customer.event_timer = event_due
        if wall_due != customer.wall_timer:
            self._move_timer(WALL_CLOCK, customer.wall_timer, wall_due, chash)
            customer.wall_timer = wall_due
        batch.put_customer(chash, customers.encode(customer))

    def _move_timer(self, clock: int, old: int, new: int, chash: bytes) -> None:
        if old != NEVER:
            self._batch.clear_timer(clock, old, chash)
            self.timers -= 1
        if new != NEVER:
            self._batch.set_timer(clock, new, chash)
            self.timers += 1

    def _count_parked(self) -> None:
        for entry in self._dirty.values():
            now = _waits(entry.customer)
            if now != entry.parked:
                for place in entry.parked:
                    self.parked[place] -= 1
                for place in now:
                    self.parked[place] = self.parked.get(place, 0) + 1
                entry.parked = now


def _waits(customer: Customer) -> tuple[tuple[str, str], ...]:
    return tuple((passage.flow, passage.wait) for passage in customer.passages)
