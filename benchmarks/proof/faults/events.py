"""Events as they should not be: again, in disorder, late, no events at all, and all of them one customer's."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from benchmarks.proof.crowd import CLICKS, HOUR, MINUTE, Appended
from benchmarks.proof.registry import Fault
from benchmarks.proof.tail import Tail
from benchmarks.proof.trial import Trial
from flows import worker_doors as doors
from state.instants import format_instant
from tests.state import hostile

HOT_EVENTS, VERY_HOT_EVENTS = 20_000, 1_000_000
GROWTH_MIB_MAX = 96.0  # of one process, by all that a customer does
DISORDER = 25  # so many events are shuffled, each customer's own in order
LATE_CUSTOMERS = 8
SECONDS_MAX = 60.0


def again(trial: Trial) -> None:
    """A tracker sends what it has sent, some of it thrice."""
    for _ in range(trial.chance.randint(2, 4)):
        trial.pause(0.3, 0.7)
        known = [each for each in trial.so_far()[-200:] if "userId" in each]
        repeated = trial.chance.choices(known, k=min(40, len(known))) if known else []
        rows = [(each["userId"].encode(), json.dumps(each).encode()) for each in repeated]
        trial.stage.append_raw(CLICKS, rows)
        trial.notes["repeated"] += len(rows)


def in_disorder(trial: Trial) -> None:
    trial.stop_load()
    trial.start_load(through=lambda crowd: _shuffled(crowd, trial.chance))
    trial.pause(2.0, 4.0)


def _shuffled(events: Iterable[Appended], chance: random.Random) -> Iterator[Appended]:
    there = iter(events)
    while some := list(islice(there, DISORDER)):
        places = list(range(len(some)))
        chance.shuffle(places)
        slots: dict[str, list[int]] = {}
        for place in places:
            slots.setdefault(some[place].customer, []).append(place)
        turns = {customer: iter(sorted(mine)) for customer, mine in slots.items()}
        yield from (some[next(turns[some[place].customer])] for place in places)


def late(trial: Trial) -> None:
    """Orders that come when the first reminder is gone, from before it: what is still to come is not sent."""
    trial.pause(0.3, 0.6)
    trial.stop_load()
    start = trial.stage.next_start
    people = [f"{trial.tag}late{number}" for number in range(LATE_CUSTOMERS)]
    first = [event for number, each in enumerate(people) for event in _with_a_cart(each, start + number)]
    trial.stage.append(first)
    trial.took([each.event for each in first], start + LATE_CUSTOMERS)
    trial.stage.next_start += HOUR + 60_000
    trial.start_load()
    deadline = time.monotonic() + SECONDS_MAX
    while trial.decided_of(people, "cart_reminder") < len(people) and time.monotonic() < deadline:
        time.sleep(0.1)
    orders = [_order(each, start + HOUR // 2) for each in people]
    trial.stage.append(orders)
    trial.took([each.event for each in orders], 0)
    for number, each in enumerate(people):  # to her cart, it is an order of just after the reminder
        told = _order(each, start + number + HOUR + 1).event
        trial.late[told["messageId"]] = told
    trial.notes["late_orders"] += len(orders)
    trial.pause(0.3, 0.6)


def _with_a_cart(customer: str, at: int) -> Iterator[Appended]:
    added = {"product_id": "p5", "price": 120, "quantity": 1, "currency": "PLN"}
    words = {"channel": "email", "topic": "marketing"}
    yield _event(customer, at, "i", {"type": "identify", "traits": {"email": f"{customer}@example.invalid"}})
    yield _event(customer, at, "g", {"type": "track", "event": "Consent Granted", "properties": words})
    yield _event(customer, at, "a", {"type": "track", "event": "Product Added", "properties": added})


def _order(customer: str, at: int) -> Appended:
    return _event(customer, at, "o", {"type": "track", "event": "Order Completed", "properties": {"order_id": "o1"}})


def _event(customer: str, at: int, name: str, body: dict[str, object]) -> Appended:
    whole = {**body, "messageId": f"{customer}-{name}", "userId": customer, "timestamp": format_instant(at)}
    return Appended(at, 0, customer, whole)


def poison(trial: Trial) -> None:
    """Whatever has broken readers before, between good events; each becomes a dead letter, once."""
    trial.pause(0.3, 0.6)
    bad = trial.chance.sample(hostile.fixed(format_instant(trial.stage.next_start)), 40)
    pids = trial.deployment.pids()
    tail = Tail(trial.deployment, "dead-letters")
    try:
        before = _hashes(tail)
        trial.stage.append_raw(CLICKS, [(each.key, each.value) for each in bad])
        wanted = Counter(hashlib.sha256(each.value).hexdigest() for each in bad)
        deadline = time.monotonic() + SECONDS_MAX
        while (found := _hashes(tail) - before) != wanted and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        tail.close()
    trial.verdict.hold("each bad record is set aside", (wanted - found).elements(), "lost")
    trial.verdict.hold("nothing else is set aside, and nothing twice", (found - wanted).elements())
    trial.verdict.hold("nobody dies of it", [] if trial.deployment.pids() == pids else [trial.deployment.pids()])
    trial.notes["poison"] += len(bad)


def _hashes(tail: Tail) -> Counter[str]:
    return Counter(json.loads(raw)["sha256"] for raw in tail.read())


def hot_key(events: int) -> Callable[[Trial], None]:
    """One customer, who never rests, beside all others."""

    def strike(trial: Trial) -> None:
        trial.pause(0.3, 0.6)
        before = trial.deployment.resident_mib()
        writer = doors.open_writer(trial.deployment.settings)
        bot = f"{trial.tag}bot"
        for number in range(events):
            at = format_instant(trial.reached + MINUTE)
            seen = {"type": "track", "event": "Product Viewed", "messageId": f"b{number}", "userId": bot}
            event = {**seen, "timestamp": at, "properties": {"product_id": f"p{number % 50}"}}
            while not writer.send(CLICKS, bot.encode(), json.dumps(event).encode()):
                time.sleep(0.01)
            trial.events.append(event)
        trial.verdict.hold("the log takes them", [] if writer.flush(SECONDS_MAX) else ["not all"], "lost")
        writer.close()
        trial.notes["events_of_the_bot"] += events
        trial.pause(0.3, 0.6)
        trial.deployment.await_applied()
        grown = {name: mib - before.get(name, mib) for name, mib in trial.deployment.resident_mib().items()}
        trial.verdict.hold_growth(grown, GROWTH_MIB_MAX)

    return strike


ORACLE = "every decision is the oracle's, once; every mail accepted once"
FLAT = f"memory of no process grows by {GROWTH_MIB_MAX:.0f} MiB; {ORACLE}"
FAULTS = [
    Fault("duplicates", "events sent again, up to thrice", ORACLE, "log", again),
    Fault("disorder", f"{DISORDER} events at a time in any order, but for each customer", ORACLE, "log", in_disorder),
    Fault("lateness", "orders that come after the first reminder, from before it", ORACLE, "log", late),
    Fault("poison", "40 bad records between the good ones", f"each is a dead letter, once; {ORACLE}", "log", poison),
    Fault("hot-key", f"{HOT_EVENTS:,} events of one customer at once", FLAT, "log", hot_key(HOT_EVENTS)),
    Fault("hot-key-million", f"{VERY_HOT_EVENTS:,} events of one", FLAT, "hot", hot_key(VERY_HOT_EVENTS)),
]
