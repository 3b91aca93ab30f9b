"""A shop's minute, lived again and again with other accidents: seeded, deterministic, in memory.

Real are the sources, the shard clock, the shards, the engine and the publisher.  In memory are the log and the stores.
The courier is a model of the rules its real one is tested for: it drops what it has seen and does not call for what is
stale, tries once, tells.
What may happen at any step: the worker is killed (between two shards, with records on their way), a shard is put back
to how it was before, a courier is killed between the provider's word and its own, partitions are read in any order.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any, NamedTuple, cast

import msgspec

from flows.messages import cart_content, greeting
from operators.breaker import Breaker
from operators.engine import Engine
from operators.flow import Flow, Template, on, send, wait
from operators.guards import Rules
from operators.host import Publisher
from operators.inputs import Input
from operators.pressure import Pressure
from operators.program import Program
from operators.shard import Shard, Surroundings
from operators.sources import LogSource, Router
from state import decisions
from state.carts import CartChanged, CartEmptied, CartEvent, CartOrdered
from state.decisions import Decision
from state.decode import Decoder
from state.events import ConsentGranted
from state.ids import Ids
from state.instants import format_instant, parse_instant
from state.messages import Delivery, Message, Result
from state.records import Reader, Writer
from state.store_errors import StoreFull
from tests.simulation.log import MemoryLog, MemoryReader, MemoryWriter
from tests.simulation.store import Crash, MemoryStore

START = parse_instant("2026-01-05T12:00:00Z")
SHARDS = 2
TOPICS = {
    "clickstream": 2,
    "orders": 1,
    "deliveries": 2,
    "internal": 2,
    "messages": 2,
    "decisions": 1,
    "dead-letters": 1,
}
INPUTS = ("clickstream", "orders", "deliveries", "internal")
CUSTOMERS = ("anna", "berta", "clara")
LIFE_SECONDS = 8.0
STEPS_MAX = 4_000


def seconds(n: float) -> timedelta:
    return timedelta(seconds=n)


reminder = Template("reminder", cart_content)
last_call = Template("last_call", cart_content)
hello = Template("hello", greeting, within=timedelta(hours=2))
again = Template("again", greeting)

reminders = Flow(
    "reminders",
    enter=on(CartChanged),
    per=CartEvent,
    restart=True,
    leave=[on(CartOrdered), on(CartEmptied)],
    steps=[wait("a_while", seconds(1)), send(reminder), wait("longer", seconds(2)), send(last_call)],
)
greetings = Flow("greetings", enter=on(ConsentGranted), steps=[send(hello), wait("later", seconds(1.5)), send(again)])

Happening = tuple[float, str, str, bytes]
Happens = Callable[[Random], list[Happening]]

IDS = Ids(b"simulation")
PROGRAM = Program([reminders, greetings])
_delivery = msgspec.json.Encoder().encode
_message = msgspec.json.Decoder(Message).decode


@dataclass
class Accidents:
    """How often, per step, and what became of it."""

    worker: float = 0.02
    courier: float = 0.02
    put_back: float = 0.25  # of a worker's death: a shard is put back as well
    trouble: float = 0.3  # a provider defers, or nobody knows
    absence: float = 0.0  # of a worker's death: minutes pass before it is started again
    hit: Counter[str] = field(default_factory=Counter)


class Outage(NamedTuple):
    """Wall seconds between which the provider takes nothing; of the clock's steps, the longest is of `step` seconds."""

    since: float
    until: float
    step: float


class World:
    """One life.  `run` plays it to its end; then look at `decided`, `accepted` and the stores."""

    def __init__(
        self,
        seed: int,
        accidents: Accidents | None = None,
        happens: Happens | None = None,
        outage: Outage | None = None,
        rules: Rules | None = None,
    ) -> None:
        self.chance = Random(seed)
        self.rules = rules or Rules()
        self.outage = outage
        self.accidents = accidents or Accidents()
        self.wall = START / 1000
        self.log = MemoryLog(TOPICS)
        self.disks: list[dict[bytes, bytes]] = [{} for _ in range(SHARDS)]
        self.copies: list[list[dict[bytes, bytes]]] = [[] for _ in range(SHARDS)]
        self.events = (happens or _events)(self.chance)
        self._coming = list(self.events)
        self.courier = Courier(self)
        self._ending = False
        self._start()

    def run(self) -> None:
        for step in range(STEPS_MAX):
            quiet = self._turn()
            if self._ending and quiet:
                return
            if step > STEPS_MAX // 2 or (not self._coming and self.wall > self._lasts_until):
                self._come_to_an_end()
        raise AssertionError(f"not at rest after {STEPS_MAX} steps")

    @property
    def is_down(self) -> bool:
        """Whether the provider takes nothing now."""
        return self.outage is not None and self.outage.since <= self.wall < self.outage.until

    @property
    def _lasts_until(self) -> float:
        life = START / 1000 + LIFE_SECONDS + 4
        return life if self.outage is None else max(life, self.outage.until)

    def decided(self) -> list[Decision]:
        """All decisions in the stores."""
        return [decisions.from_json(raw) for disk in self.disks for raw in MemoryStore(disk).decisions()]

    def told(self) -> list[Decision]:
        """All decisions in the log, those told twice too."""
        return [decisions.from_json(raw) for raw in self.log.values("decisions")]

    # -- steps

    def _turn(self) -> bool:
        """One round of everything; whether nothing is left to do."""
        step = self.outage.step if self.outage is not None and self.is_down else 0.25
        self.wall += 5.0 if self._ending else self.chance.uniform(0.01, step)
        self.reader.now = self.writer.now = self.wall
        while self._coming and self._coming[0][0] <= self.wall:
            at, topic, customer, body = self._coming.pop(0)
            self.log.append(topic, customer.encode(), body, at)
        before = sum(map(len, self.log.records.values()))
        try:
            self._work()
        except Crash:
            self.accidents.hit["worker"] += 1
            if self.accidents.absence and self.chance.random() < self.accidents.absence:
                self.accidents.hit["absence"] += 1
                self.wall += self.chance.uniform(1, 300)
            self._start()
        self.courier.turn(hurries=self._ending)
        after = sum(map(len, self.log.records.values()))
        return (
            before == after
            and not self._coming
            and self.courier.is_idle
            and all(offset == len(self.log.records[tp]) for tp, offset in self.source.positions().items())
            and self.publisher.in_flight == 0
            and not self.publisher.has_backlog
            and not any(MemoryStore(disk).outbox_rows() for disk in self.disks)
            and not any(MemoryStore(disk).held_rows() for disk in self.disks)
            and not any(MemoryStore(disk).first_due(clock) < 1 << 62 for disk in self.disks for clock in (0, 1))
        )

    def _work(self) -> None:
        self.publisher.turn()
        inputs: dict[int, list[Input]] = {}
        for number, item in self.source.poll():
            inputs.setdefault(number, []).append(item)
        for number, items in inputs.items():
            self._accident("worker", Crash)
            shard = self.shards[number]
            shard.take(items)
            self._accident("worker", Crash)
            self.publisher.publish(shard)

    def _accident(self, what: str, kind: type[Exception]) -> None:
        if not self._ending and self.chance.random() < getattr(self.accidents, what):
            raise kind

    def _start(self) -> None:
        """A worker starts over what the disks and the log have."""
        for number, copies in enumerate(self.copies):
            if copies and self.chance.random() < self.accidents.put_back:
                self.disks[number] = dict(self.chance.choice(copies))
                self.accidents.hit["put_back"] += 1
            copies.append(dict(self.disks[number]))
        chance = self.chance
        reader, writer = MemoryReader(self.log, chance), MemoryWriter(self.log, chance)
        self.reader, self.writer = reader, writer
        reader.now = writer.now = self.wall
        around = Surroundings(
            engine=Engine(PROGRAM, self.rules, IDS, breaker=Breaker(), clock="live", links="log"),
            program=PROGRAM,
            ids=IDS,
            decoder=Decoder("PLN"),
            wall=lambda: self.wall,
            on_full=_never_full,
            clock="live",
            processes=1,
            started_ms=round(self.wall * 1000),
            cache_customers=2,
            publishes=True,
            shards=SHARDS,
            words_first=True,
        )
        self.shards = [Shard(n, cast("Any", MemoryStore(disk)), around) for n, disk in enumerate(self.disks)]
        self.publisher = Publisher(cast("Writer", writer), power=False)
        pressure = Pressure()
        for shard in self.shards:
            self.publisher.add(shard)
            pressure.add(shard.held, shard.clock)
        tps = [tp for tp in self.log.records if tp.topic in INPUTS]
        marks = [shard.watermarks() for shard in self.shards]
        self.source = LogSource(
            cast("Reader", reader),
            Router(IDS, SHARDS),
            SHARDS,
            0,
            {tp: min(mark.get(tp, 0) for mark in marks) for tp in tps},
            {},
            {tp: len(self.log.records[tp]) for tp in tps},
            lambda: self.wall,
            "live",
            pressure=pressure,
            may_read=lambda: all(shard.clock.settled for shard in self.shards),
        )

    def _come_to_an_end(self) -> None:
        self._ending = self.reader.hurries = self.writer.hurries = True


class Courier:
    """A courier by the rules: reads on from what is committed, drops what has a result, tries once, tells."""

    def __init__(self, world: World) -> None:
        self.accepted: Counter[str] = Counter()
        self.refused: set[str] = set()
        self.unknown: Counter[str] = Counter()  # accepted by the provider, and nobody heard
        self.in_vain: Counter[str] = Counter()  # calls while the provider was down
        self.accepted_at: dict[str, float] = {}  # wall seconds, the last time
        self._world = world
        self._committed = {tp: 0 for tp in world.log.records if tp.topic == "messages"}
        self._seen: set[tuple[str, int]] = set()

    @property
    def is_idle(self) -> bool:
        records = self._world.log.records
        return all(offset == len(records[tp]) for tp, offset in self._committed.items())

    def turn(self, *, hurries: bool) -> None:
        world, chance = self._world, self._world.chance
        for tp, offset in self._committed.items():
            if not hurries and chance.random() < 0.5:
                continue
            for record in world.log.records[tp][offset:][: 99 if hurries else 2]:
                message = _message(record.value or b"")
                key = message.message_id, message.attempt
                if key not in self._seen:
                    is_stale = world.wall * 1000 > message.fresh_until
                    result = "deferred" if is_stale else self._call(message.message_id, hurries=hurries)
                    if not hurries and chance.random() < world.accidents.courier:
                        world.accidents.hit["courier"] += 1
                        if result == "accepted":
                            self.unknown[message.message_id] += 1
                        break  # killed before its word was in the log; it will call again
                    self._seen.add(key)
                    self._tell(record.key or b"", message, result, "stale" if is_stale else "")
                self._committed[tp] = record.offset + 1

    def _call(self, message_id: str, *, hurries: bool) -> Result:
        chance, trouble = self._world.chance, self._world.accidents.trouble
        if self._world.is_down:
            self.in_vain[message_id] += 1
            return chance.choice(("deferred", "deferred", "unknown"))
        if hurries or chance.random() >= trouble:
            self._accept(message_id)
            return "accepted"
        what = chance.choice(("deferred", "unknown", "refused"))
        if what == "refused":
            self.refused.add(message_id)
            return "refused"
        if what == "unknown":
            if chance.random() < 0.5:
                self._accept(message_id)
                self.unknown[message_id] += 1
            return "unknown"
        return "deferred"

    def _accept(self, message_id: str) -> None:
        self.accepted[message_id] += 1
        self.accepted_at[message_id] = self._world.wall

    def _tell(self, key: bytes, message: Message, result: Result, detail: str) -> None:
        delivery = Delivery(
            message_id=message.message_id,
            at=format_instant(round(self._world.wall * 1000)),
            attempt=message.attempt,
            provider="model",
            result=result,
            detail=detail,
        )
        self._world.log.append("deliveries", key, _delivery(delivery), self._world.wall)


def _never_full(full: StoreFull) -> None:
    raise full


def _events(chance: Random) -> list[Happening]:
    """(wall seconds, topic, customer, JSON) in order of time; each is appended the moment it happens."""
    found = []
    for customer in CUSTOMERS:
        at = START / 1000 + chance.uniform(0, 0.5)
        found.append((at, "clickstream", customer, identify(customer, at)))
        for number in range(chance.randint(2, 7)):
            at = round(at + chance.uniform(0.05, 1.6), 3)
            kind = chance.choice(("add", "add", "add", "remove", "order", "consent"))
            # One topic for each customer: what she does in another may overtake it, and then time decides.
            found.append((at, "clickstream", customer, body_of(customer, number, kind, at)))
    return sorted(found)


def identify(customer: str, at: float, *, anonymous: bool = False, claims: bool = False) -> bytes:
    traits = {"email": f"{customer}@example.com"}
    number = "identify" if not claims else "claim"
    return as_json(customer, number, at, {"type": "identify", "traits": traits}, anonymous=anonymous, claims=claims)


def body_of(customer: str, number: int, kind: str, at: float, *, anonymous: bool = False, cart: str = "k1") -> bytes:
    names = {
        "add": "Product Added",
        "remove": "Product Removed",
        "order": "Order Completed",
        "consent": "Consent Granted",
    }
    known: dict[str, dict[str, Any]] = {
        "add": {"product_id": "p1", "cart_id": cart, "price": 20},
        "remove": {"product_id": "p1", "cart_id": cart, "quantity": 1},
        "order": {"order_id": f"o{number}", "cart_id": cart},
        "consent": {"channel": "email", "topic": "marketing"},
    }
    body = {"type": "track", "event": names[kind], "properties": known[kind]}
    return as_json(customer, f"{number}", at, body, anonymous=anonymous)


def as_json(
    customer: str,
    number: str,
    at: float,
    body: Mapping[str, Any],
    *,
    anonymous: bool = False,
    claims: bool = False,
) -> bytes:
    """An event of hers, by the name she is known by, by her anonymous one, or by both."""
    ids = {} if anonymous else {"userId": customer}
    if anonymous or claims:
        ids["anonymousId"] = f"a-{customer}"
    stamp = format_instant(round(at * 1000))
    return json.dumps({**body, **ids, "messageId": f"{customer}-{number}", "timestamp": stamp}).encode()
