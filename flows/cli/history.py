"""All that log and store remember of one customer, for those who explain.

Read once from its beginning to its end as it was at the start: her records lie between those of everybody else,
and one without a key may be in any partition.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from config import Settings
from flows import worker_doors as doors
from flows.cli.options import ids_of
from flows.cli.reading import shard_reader
from flows.cli.scanning import Progress, partitions_of, scan
from flows.supervisor_health import read_beat
from flows.worker_stops import stopped_flows
from operators.catalogue import changed
from operators.inputs import DELIVERIES, INTERNAL
from operators.joining import claim_of
from operators.memory import Announced, Memory, Recalled, Taken, in_order
from state import customer as customers
from state import dead_letters, decisions, words
from state.catalogue import CATALOGUE, Item, is_told_to_all
from state.claims import claimed, names_a_user
from state.customer import Customer
from state.dead_letters import DeadLetter
from state.decisions import Cause, Decision
from state.decode import Decoder, Rejected, peek_customer
from state.events import Event, ProductChanged, ProductEvent
from state.ids import event_hash, shard_of
from state.messages import Delivery
from state.records import Fetched, Reader, Record, TopicPartition
from state.words import AnyWord, Forward, is_word

DECISIONS, DEAD_LETTERS = "decisions", "dead-letters"
OUTPUTS = frozenset({DELIVERIES, INTERNAL, DECISIONS, DEAD_LETTERS})
DAY_MS = 86_400_000


@dataclass
class History:
    """What was found, and how far the deployment's clock is known to have come (milliseconds)."""

    memory: Memory
    clock: int
    now: int
    record: Customer | None


def remember(settings: Settings, customer: str, progress: Progress) -> History:
    """Everything about one customer.  Heartbeats, store, log, in this order: each knows more than the one before."""
    now = round(time.time() * 1000)
    beats = _beats(settings)
    clocks = [beat["clock"] for beat in beats if beat.get("clock")]
    stopped = stopped_flows(settings.data_dir).union(*(beat.get("stopped_flows", ()) for beat in beats))
    chash = ids_of(settings).customer(customer.encode())
    with shard_reader(settings) as open_shard:
        store = open_shard(shard_of(chash, settings.shards))
        raw = store.customer(chash)
        stored = [decisions.from_json(each) for each in store.decisions(chash)]
        watermarks = {tp: offset for tp, (offset, _) in store.watermarks().items()}
    record = customers.decode(raw) if raw is not None else None
    reader = doors.open_reader(settings, "impuls-commands")
    try:
        found = _Reading(settings, customer, record).read(reader, progress)
    finally:
        reader.close()
    reached = now if settings.clock == "live" else max(clocks, default=0)  # decisions are swept by the log's own time
    late = record.arrivals.late if record is not None and record.arrivals is not None else []
    memory = Memory(
        customer=customer,
        inputs=in_order(found.inputs, live=settings.clock == "live", late=late),
        late={each.place: each for each in late},
        decisions=_recalled(stored, found),
        watermarks=watermarks,
        record=record,
        kept_since=reached - settings.store.retention_days * DAY_MS,
        failures=found.failures,
        stopped=frozenset(stopped),
        known_since=found.known_since,
        forwarded=frozenset(found.forwarded),
        notes=found.notes,
        arms=record.arms if record is not None else {},
    )
    return History(memory, min(clocks, default=0), now, record)


@dataclass
class _Found:
    inputs: list[Taken] = field(default_factory=list)
    published: dict[str, Recalled] = field(default_factory=dict)
    failures: list[DeadLetter] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    known_since: int | None = None
    forwarded: set[tuple[str, int, int]] = field(default_factory=set)


class _Reading:
    def __init__(self, settings: Settings, customer: str, record: Customer | None) -> None:
        self._settings, self._record = settings, record
        self._customer, self._key = customer, customer.encode()
        self._ids = ids_of(settings)
        self._decoder = Decoder(settings.currency)
        self._found = _Found()

    def read(self, reader: Reader, progress: Progress) -> _Found:
        inputs = doors.input_topics(self._settings)
        topics = (*inputs, DELIVERIES, INTERNAL, DECISIONS, DEAD_LETTERS)
        partitions = partitions_of(reader, topics)
        beginnings, ends = reader.beginnings(partitions), reader.ends(partitions)
        origins = _origins(self._settings)
        starts = {tp: max(beginnings[tp], origins.get(tp, 0)) for tp in partitions}
        self._note_what_is_gone(set(inputs), beginnings, origins)
        for fetched in scan(reader, starts, ends, progress):
            for record in self._hers(fetched.topic, fetched.records):
                self._take(TopicPartition(fetched.topic, fetched.partition), record)
        told = [tp for tp in partitions if tp.topic == CATALOGUE]
        self._hear(scan(reader, {tp: starts[tp] for tp in told}, {tp: ends[tp] for tp in told}, progress))
        return self._found

    def _hers(self, topic: str, records: Iterable[Record]) -> Iterator[Record]:
        for record in records:
            key = None if topic == CATALOGUE else record.key
            if key == self._key or (not key and peek_customer(record.value) == self._key):
                yield record
            elif topic not in OUTPUTS and claimed(record.value, record.key) == self._customer:
                yield record  # who she turned out to be says so
            elif topic == INTERNAL and is_word(record.value):
                self._note_forwarded(words.decode(record.value or b""))

    def _note_forwarded(self, word: AnyWord) -> None:
        if isinstance(word, Forward) and word.anonymous == self._customer:
            self._found.forwarded.add((word.topic, word.partition, word.offset))

    def _hear(self, catalogue: Iterable[Fetched]) -> None:
        """What the catalogue told of products that she touched; only now is it known which."""
        products = {taken.what.product_id for taken in self._found.inputs if isinstance(taken.what, ProductEvent)}
        products |= self._record.interests.keys() if self._record is not None else set()
        told: list[Taken] = []
        for fetched in catalogue if products else ():
            tp = TopicPartition(fetched.topic, fetched.partition)
            for record in fetched.records:
                event = self._decoded(tp, record) if is_told_to_all(record.value) else None
                if isinstance(event, ProductChanged) and event.product_id in products:
                    told.append(Taken(record.timestamp_ms, CATALOGUE, tp.partition, record.offset, event))
        items: dict[str, Item] = {}
        for taken in in_order(told, live=self._settings.clock == "live"):
            word = taken.what
            assert isinstance(word, ProductChanged)
            items[word.product_id], news = changed(items.get(word.product_id), word)
            if news is not None and self._may_have_heard(news):
                hers = msgspec.structs.replace(news, customer=self._customer)
                self._found.inputs.append(taken._replace(what=hers))

    def _may_have_heard(self, news: Event) -> bool:
        """Her record says so, as long as it has not forgotten what it had seen."""
        record = self._record
        return record is None or record.has_forgotten_events or record.has_seen(event_hash(news.id))

    def _take(self, tp: TopicPartition, record: Record) -> None:
        found, value = self._found, record.value or b""
        if tp.topic == DECISIONS:
            decision = decisions.from_json(value)
            found.published.setdefault(decision.decision_id, Recalled(decision, record.timestamp_ms, record.offset))
        elif tp.topic == DEAD_LETTERS:
            letter = dead_letters.from_json(value)
            if letter.flow:
                found.failures.append(letter)
        elif tp.topic == DELIVERIES:
            self._add(tp, record, msgspec.json.decode(value, type=Delivery))
        elif tp.topic == INTERNAL:
            self._add(tp, record, words.decode(value) if is_word(value) else dead_letters.from_json(value))
        else:
            self._add_event(tp, record, self._decoded(tp, record))

    def _decoded(self, tp: TopicPartition, record: Record) -> Event | Rejected:
        return self._decoder.decode(
            record.value,
            key=record.key,
            topic=tp.topic,
            partition=tp.partition,
            offset=record.offset,
            now=record.timestamp_ms,
            clock=self._settings.clock,
        )

    def _add_event(self, tp: TopicPartition, record: Record, event: Event | Rejected) -> None:
        found, customer = self._found, self._customer
        if isinstance(event, Event) and event.customer != customer:
            claim = claim_of(event.customer, customer, Cause(tp.topic, tp.partition, record.offset), self._ids)
            self._add(tp, record, Announced(event.customer, claim, event.at))
            return
        if names_a_user(record.value):
            found.known_since = min(record.timestamp_ms, found.known_since or record.timestamp_ms)
        self._add(tp, record, event)

    def _add(
        self,
        tp: TopicPartition,
        record: Record,
        what: Event | Rejected | Delivery | DeadLetter | Announced | AnyWord,
    ) -> None:
        self._found.inputs.append(Taken(record.timestamp_ms, tp.topic, tp.partition, record.offset, what))

    def _note_what_is_gone(
        self, inputs: set[str], beginnings: dict[TopicPartition, int], origins: dict[TopicPartition, int]
    ) -> None:
        gone = sum(max(0, first - origins.get(tp, 0)) for tp, first in beginnings.items() if tp.topic in inputs)
        if gone:
            self._found.notes.append(
                f"{gone} records at the beginning of the input topics are no longer in the log. What she did in them "
                "is not told, and what the present record knows of her from then is missing here."
            )


def _recalled(stored: list[Decision], found: _Found) -> dict[str, Recalled]:
    """The store's decisions; those it has swept are taken from the topic as long as that keeps them."""
    known = {decision.decision_id: Recalled(decision, None) for decision in stored}
    for name, told in found.published.items():
        known[name] = told._replace(decision=known[name].decision) if name in known else told
    return known


def _beats(settings: Settings) -> list[dict[str, Any]]:
    folder = settings.data_dir / "run"
    return [read_beat(folder, path.stem) for path in sorted(folder.glob("worker-*.json")) if "place" not in path.stem]


def _origins(settings: Settings) -> dict[TopicPartition, int]:
    """Where each partition was begun at the first start."""
    try:
        rows = json.loads((settings.data_dir / "origins.json").read_text())
    except FileNotFoundError:
        return {}
    return {TopicPartition(topic, partition): offset for topic, partition, offset in rows}
