"""A shard over a real store, fed as the sources feed it, for tests of what it writes and when."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from operators.breaker import Breaker
from operators.clock import Report
from operators.engine import Engine
from operators.flow import Flow
from operators.guards import Rules
from operators.inputs import DELIVERIES, Progress, SubBatch
from operators.program import Program
from operators.retention import Keep
from operators.shard import Shard, Surroundings
from operators.windows import Window
from state import decisions
from state.decisions import Decision
from state.decode import Decoder
from state.ids import Ids
from state.instants import format_instant, parse_instant
from state.messages import Delivery, Message
from state.records import Record
from state.store import Resources, Row, ShardStore
from state.store_errors import StoreFull

START = parse_instant("2026-01-05T12:00:00Z")
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
TOPIC = "clickstream"


class Wall:
    """Wall time, in milliseconds since 1970."""

    def __init__(self, ms: int) -> None:
        self.ms = ms


@dataclass
class Desk:
    """One shard, and the hands that feed it.  The wall clock moves only when told to."""

    shard: Shard
    breaker: Breaker
    wall: Wall
    offsets: dict[str, int] = field(default_factory=dict)

    def events(self, *bodies: dict[str, Any], topic: str = TOPIC) -> None:
        """Events as JSON, in one batch."""
        self.records([(body["userId"].encode(), json.dumps(body).encode()) for body in bodies], topic)

    def delivery(self, customer: str, delivery: Delivery) -> None:
        self.records([(customer.encode(), msgspec.json.encode(delivery))], DELIVERIES)

    def records(self, rows: Sequence[tuple[bytes | None, bytes]], topic: str) -> None:
        start = self.offsets.get(topic, 0)
        records = [Record(start + n, key, value, self.wall.ms) for n, (key, value) in enumerate(rows)]
        self.offsets[topic] = start + len(rows)
        self.shard.take([SubBatch(topic, 0, start, start + len(rows), records, 0)])

    def clock_at(self, at: int, *, settled: bool = True, stalled: bool = False) -> None:
        """Every source has been read past this moment."""
        report = Report(0, self.wall.ms, at, None, at, complete=True, settled=settled, stalled=stalled)
        self.shard.take([Progress(report, ())])

    def decided(self, customer: str) -> list[Decision]:
        if not self.shard.around.publishes:
            hers = [each for each in self.shard.made if each.customer == customer]
            return sorted(hers, key=lambda each: (each.at, each.decision_id))
        ids = Ids(b"secret")
        return [decisions.from_json(raw) for raw in self.shard.store.decisions(ids.customer(customer.encode()))]

    def outbox(self, topic: str) -> list[Row]:
        return [row for row in self.shard.store.outbox(-1, 1000) if row.topic == topic]


def message(row: Row) -> Message:
    return msgspec.json.decode(row.value, type=Message)


@contextmanager
def desk(
    data_dir: Path,
    *flows: Flow[Any],
    clock: Literal["live", "replay"] = "live",
    wall: int = START,
    keep: Keep | None = None,
    publishes: bool = True,
    rules: Rules | None = None,
    windows: Sequence[Window] = (),
) -> Iterator[Desk]:
    """A shard of these flows, opened in this folder (again, where it was there before)."""
    ids, program, breaker = Ids(b"secret"), Program(flows, windows), Breaker()
    store = ShardStore.open(data_dir, 0, 1, resources=Resources.open(data_dir, cache_mib=4))
    time = Wall(wall)
    engine = Engine(program, rules or Rules(), ids, breaker=breaker, clock=clock)

    def refuse(full: StoreFull) -> None:
        raise full

    around = Surroundings(
        engine=engine,
        program=program,
        ids=ids,
        decoder=Decoder("PLN"),
        wall=lambda: time.ms / 1000,
        on_full=refuse,
        clock=clock,
        processes=1,
        started_ms=wall,
        cache_customers=16,
        publishes=publishes,
        keep=keep,
    )
    shard = Shard(0, store, around)
    try:
        yield Desk(shard, breaker, time, {tp.topic: offset for tp, offset in shard.watermarks().items()})
    finally:
        store.close()


def identify(customer: str, at: int = START) -> dict[str, Any]:
    traits = {"email": f"{customer}@example.com"}
    return _event(customer, at, "identify", {"type": "identify", "traits": traits})


def agrees(customer: str, at: int = START) -> dict[str, Any]:
    return track(customer, at, "Consent Granted", channel="email", topic="marketing")


def track(customer: str, at: int, event: str, **properties: Any) -> dict[str, Any]:
    return _event(customer, at, event, {"type": "track", "event": event, "properties": properties})


def _event(customer: str, at: int, name: str, body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "userId": customer, "messageId": f"{customer}-{name}-{at}", "timestamp": format_instant(at)}
