"""Where the rows of a report come from: a deployment's store and log, or what a replay left and the events it read."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from config import Settings
from flows import worker_doors as doors
from flows.cli.options import ids_of
from flows.cli.reading import shard_reader
from flows.cli.scanning import Progress, partitions_of, scan
from flows.cli_replay import NOTE
from operators.experiments import is_held_out
from operators.files import TOPIC, lines, open_lines
from operators.flow import Choose, Experiment, Flow
from operators.inputs import DELIVERIES
from operators.measuring import rows
from operators.program import choices
from operators.walk import every
from state import customer as customers
from state import decisions
from state.catalogue import CATALOGUE
from state.customer import Assigned
from state.decode import AHEAD_MAX, Decoder, Rejected, peek, peek_customer, peek_time
from state.messages import Delivery
from state.records import Record
from state.sorter import Sorter
from state.store_reading import ShardReading

COUNTED = (b"Order ", b"Email ", b"Unsubscribed")
"""What the name of any event that is counted contains; all others need no decoding."""

_delivery = msgspec.json.Decoder(Delivery).decode


@dataclass(frozen=True)
class Source:
    """What is known beside the rows: up to when orders are (None: they are not), whether couriers tell what became of
    messages, and what the holdout and the currency were."""

    clock: int | None
    delivers: bool
    holdout: float
    currency: str


@dataclass(frozen=True)
class Promises:
    """What the flows themselves say about how they are to be measured, by the name of the flow."""

    windows: Mapping[str, int]  # milliseconds
    own_holdouts: Mapping[str, float]  # shares
    experiments: Mapping[str, str]  # the first flow that an experiment stands in
    choices: frozenset[str] = frozenset()  # those that learn

    @classmethod
    def of(cls, flows: Sequence[Flow[Any]]) -> Promises:
        found: dict[str, str] = {}
        for flow in flows:
            for step in every(flow.steps):
                if isinstance(step, Experiment) and not isinstance(step, Choose):
                    found.setdefault(step.name, flow.name)
        return cls(
            {flow.name: round(flow.credited.total_seconds() * 1000) for flow in flows},
            {flow.name: flow.holdout_percent / 100 for flow in flows if flow.holdout_percent},
            found,
            frozenset(choices(flows)),
        )


class _Taking:
    """Puts rows into a sorter, each under its customer."""

    def __init__(self, sorter: Sorter, currency: str) -> None:
        self._sorter = sorter
        self._decoder = Decoder(currency)
        self.reached = 0
        self.delivered = False

    def decision(self, raw: bytes, since: int) -> None:
        decision = decisions.from_json(raw)
        row = rows.of_decision(decision)
        if row.at >= since:
            self._sorter.add(decision.customer.encode(), row.at, b"d" + row.id.encode(), rows.encode(row))

    def arm(self, customer: str, experiment: str, got: Assigned) -> None:
        row = rows.of_arm(experiment, got)
        self._sorter.add(customer.encode(), row.at, b"a" + row.id.encode(), rows.encode(row))

    def delivery(self, record: Record) -> None:
        row = rows.of_delivery(_delivery(record.value or b""))
        if row is not None and record.key:
            self.delivered = True
            self._sorter.add(record.key, row.at, b"c" + row.id.encode(), rows.encode(row))

    def event(self, record: Record, topic: str, partition: int, now: int) -> None:
        raw = record.value
        if raw is None or not any(name in raw for name in COUNTED):
            return
        event = self._decoder.decode(
            raw, key=record.key, topic=topic, partition=partition, offset=record.offset, now=now, clock="replay"
        )
        row = None if isinstance(event, Rejected) else rows.of_event(event)
        if row is not None and not isinstance(event, Rejected):
            self._sorter.add(event.customer.encode(), row.at, b"e" + row.id.encode(), rows.encode(row))

    def reach(self, at: int, now: int) -> None:
        """As the replay clock does: not by a time that the decoder refuses as being in the future."""
        if self.reached < at <= now + AHEAD_MAX:
            self.reached = at


def from_deployment(settings: Settings, promises: Promises, sorter: Sorter, since: int, progress: Progress) -> Source:
    """Decisions out of the store, results and events out of the log."""
    taking = _Taking(sorter, settings.currency)
    with shard_reader(settings) as open_shard:
        for number in range(settings.shards):
            store: ShardReading = open_shard(number)
            for raw in store.all_decisions(since):
                taking.decision(raw, since)
            if promises.experiments:
                _take_arms(store, settings, promises, taking, since)
    reader = doors.open_reader(settings, "impuls-commands")
    try:
        inputs = [topic for topic in doors.input_topics(settings) if topic != CATALOGUE]
        partitions = partitions_of(reader, [*inputs, DELIVERIES])
        for fetched in scan(reader, reader.beginnings(partitions), reader.ends(partitions), progress):
            for record in fetched.records:
                if fetched.topic == DELIVERIES:
                    taking.delivery(record)
                    continue
                if settings.clock == "replay":
                    taking.reach(peek_time(record.value) or 0, record.timestamp_ms)
                named = record if record.key else msgspec.structs.replace(record, key=peek_customer(record.value))
                taking.event(named, fetched.topic, fetched.partition, record.timestamp_ms)
    finally:
        reader.close()
    now = round(time.time() * 1000)
    return Source(
        clock=taking.reached if settings.clock == "replay" else now,
        delivers=taking.delivered,
        holdout=settings.guards.holdout_percent / 100,
        currency=settings.currency,
    )


def _take_arms(store: ShardReading, settings: Settings, promises: Promises, taking: _Taking, since: int) -> None:
    """The arms of those who are not held out: in an arm that sends nothing, no decision tells of them."""
    ids = ids_of(settings)
    for _, raw in store.customers():
        customer = customers.decode(raw)
        if is_held_out(ids, customer.id, settings.guards.holdout_percent):
            continue
        for name, got in customer.arms.items():
            flow = promises.experiments.get(name, "")
            held = is_held_out(ids, customer.id, 100 * promises.own_holdouts.get(flow, 0), flow)
            if flow and got.at >= since and not held:
                taking.arm(customer.id, name, got)


def from_replay(
    folder: Path, files: Iterable[Path], settings: Settings, sorter: Sorter, since: int, progress: Progress
) -> Source:
    """Decisions out of `decisions.jsonl`, events out of the files that were replayed, where they still are."""
    note = _note(folder, settings)
    taking = _Taking(sorter, str(note["currency"]))
    for raw in _lines(folder / "decisions.jsonl"):
        taking.decision(raw, since)
    there = list(files) or [path for path in map(Path, note["files"]) if path.is_file()]
    now = round(time.time() * 1000)
    for number, path in enumerate(there):
        for offset, raw in enumerate(_lines(path)):
            at, customer = peek(raw)
            taking.reach(at, now)
            taking.event(Record(offset, customer, raw, 0), TOPIC, number, now)
            if not offset % 1000:
                progress(offset, 0)
    return Source(
        clock=taking.reached if there else None,
        delivers=False,
        holdout=float(note["holdout_percent"]) / 100,
        currency=str(note["currency"]),
    )


def _note(folder: Path, settings: Settings) -> dict[str, Any]:
    """What the replay wrote down of itself; of an older one that did not, the settings of now."""
    try:
        note: dict[str, Any] = json.loads((folder / NOTE).read_text())
    except FileNotFoundError:
        return {"files": [], "currency": settings.currency, "holdout_percent": settings.guards.holdout_percent}
    return note


def _lines(path: Path) -> Iterator[bytes]:
    with open_lines(path) as opened:
        for raw in lines(opened, path):
            line = raw.strip()
            if line:
                yield line
