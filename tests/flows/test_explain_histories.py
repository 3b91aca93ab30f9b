"""Whatever a hundred customers do, in whatever order it comes: their stories are true, at any moment of the past.

Told in order, they are those of the oracle; in disorder, on two clocks, those of the store, which is all that can be
said then: what was decided hangs on what had come.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from flows import FLOWS, worker_doors
from flows.catalog import load
from flows.cli.explaining import story
from flows.cli.history import History, remember
from flows.worker_process import settings_for
from operators.trace import Entry
from state.instants import format_instant, parse_instant
from tests.conftest import LONG
from tests.flows.deployments import Deployment, running, until
from tests.flows.histories import Json, identify, stamped, track
from tests.flows.oracle import NEWS, Expected, expected
from tests.operators.shards import START

MINUTE = 60_000
CUSTOMERS = 100
INSTANTS = 100 if LONG else 2  # of each customer
SEED = 5
PAUSES = [0, 1, 2, 5, 20, 59, 60, 61, 119, 120, 121, 600, 1_440, 3_000, 4_320, 10_080]  # minutes
LATE = [0, 0, 0, 0, 0, 0, 1, 5, 30, 61, 90, 600, 2_000, 10_000]
UNGUARDED = '[guards]\nquiet_hours = "none"\nmarketing_cap = "none"\n'
Said = tuple[str, str, str]  # decision id, outcome, reason


@dataclass(frozen=True)
class Told:
    """A deployment that has ended, and what it was told."""

    config: Path
    events: list[Json]
    live: bool

    @property
    def customers(self) -> list[str]:
        return sorted({event["userId"] for event in self.events if "userId" in event})

    def remembers(self, customer: str) -> History:
        return remember(settings_for(str(self.config)), customer, lambda _, __: None)

    def story(self, history: History, at: int | None = None) -> list[Entry]:
        return story(settings_for(str(self.config)), load("flows").program, history, at)

    def instants(self, history: History, chance: Random) -> list[int]:
        """Moments between the first and the last that anything happened to her, and a little after."""
        memory = history.memory
        if self.live:
            moments = [each.wall for each in memory.inputs]
            moments += [each.wall for each in memory.decisions.values() if each.wall is not None]
        else:
            moments = [parse_instant(event["timestamp"]) for event in self.events]
        first, last = min(moments), max(moments) + 1
        return [chance.randint(first, last) for _ in range(INSTANTS)]


def happening(chance: Random) -> Json:
    product, cart = chance.choice(["p1", "p2", "p3", "p4"]), chance.choice(["", "", "k1", "k2"])
    order = chance.choice(["", "o1", "o2", "o3", "o4"])
    return chance.choices(
        [
            track("Product Viewed", product_id=product, price=chance.choice([50, 99.5, 100])),
            track("Product Added", product_id=product, price=chance.choice([19.99, 50, 100, 120]), cart_id=cart),
            track("Product Removed", product_id=product, cart_id=cart),
            track("Order Completed", order_id=order, cart_id=cart, products=[{"product_id": product}]),
            track(chance.choice(["Order Cancelled", "Order Refunded"]), order_id=order),
            identify(chance.choice(["anna@example.com", ""])),
            track("Consent Granted", channel="email", topic="marketing"),
            track(chance.choice(["Consent Withdrawn", "Unsubscribed"])),
            track("Sang A Song"),
        ],
        [28, 27, 5, 14, 3, 7, 8, 4, 4],
    )[0]


def told_in_order(seed: int, *, disorder: bool) -> list[Json]:
    """What happens to the customers over four months, and in the catalogue, in the order in which it is told."""
    chance = Random(seed)
    told: list[tuple[int, Json]] = []

    def tell(minute: int, body: Json, customer: str = "") -> None:
        late = chance.choice(LATE) if disorder else 0
        event = stamped(body, customer, START + minute * MINUTE, len(told))
        if not customer:
            del event["userId"]
        told.append((minute + late, event))
        if disorder and chance.random() < 0.05:
            told.append((minute + late + chance.choice([0, 10, 1_000]), event))

    for number in range(CUSTOMERS):
        customer, minute = f"c{number}", chance.randint(0, 60 * 1_440)
        tell(minute, identify(f"{customer}@example.com"), customer)
        tell(minute, track("Consent Granted", channel="email", topic="marketing"), customer)
        for _ in range(chance.randint(3, 30)):
            minute += chance.choice(PAUSES)
            tell(minute, happening(chance), customer)
    for _ in range(60 if disorder else 0):
        price, available = chance.choice([None, 40, 80, 95, 100]), chance.choice([None, True, False])
        word = track("Product Changed", product_id=chance.choice(["p1", "p2"]), price=price, availability=available)
        tell(chance.randint(0, 120 * 1_440), word)
    return [event for _, event in sorted(told, key=lambda row: row[0])]


def topic_of(event: Json, disorder: bool) -> str:
    """In order all that she does is in one topic: only that orders it."""
    name = event.get("event", "")
    if name == "Product Changed":
        return "catalogue"
    return "orders" if disorder and name.startswith("Order") else "clickstream"


def told_to_a_worker(folder: Path, events: Sequence[Json], *, live: bool, disorder: bool) -> Told:
    clock = "" if live else 'clock = "replay"\n'
    settings = f"{clock}shards = 8\n{UNGUARDED if not disorder else ''}[log]\npartitions = 3\n"
    chance = Random(SEED)
    with running(folder, "--only", "worker", settings=settings) as deployment:
        with closing(worker_doors.open_writer(settings_for(str(deployment.config)))) as writer:
            for event in events:
                key = event.get("userId") or event["properties"]["product_id"]
                value = json.dumps(event).encode()
                assert writer.send(topic_of(event, disorder), key.encode(), value)
                if disorder and chance.random() < 0.01:
                    assert writer.flush(60)
                    time.sleep(0.1)  # the worker may read what has come so far, or not
            assert writer.flush(60)
        assert until(lambda: is_settled(deployment, events))
        assert deployment.stop() == 0
    return Told(deployment.config, list(events), live)


def is_settled(deployment: Deployment, events: Sequence[Json]) -> bool:
    """Whether all was read, and the clock has come as far as the log."""
    last = max(parse_instant(event["timestamp"]) for event in events)
    beats = [json.loads(path.read_text()) for path in (deployment.folder / "data" / "run").glob("worker-*.json")]
    is_behind = any(beat.get("lag") for beat in beats)
    return all((beat["clock"] or 0) >= last for beat in beats) and not is_behind


@pytest.fixture(scope="module", params=["live", "replay"])
def disordered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp(request.param)
    events = told_in_order(SEED, disorder=True)
    return told_to_a_worker(folder, events, live=request.param == "live", disorder=True)


@pytest.fixture(scope="module")
def ordered(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("ordered")
    return told_to_a_worker(folder, told_in_order(SEED, disorder=False), live=False, disorder=False)


def said(entries: Sequence[Entry]) -> list[Said]:
    return sorted((e.decision_id, e.outcome, e.reason) for e in entries if e.what == "decision")


def differences(entries: Sequence[Entry]) -> list[Entry]:
    return [e for e in entries if e.what == "difference" or e.stored not in ("", "same")]


def test_in_disorder_every_story_is_that_of_the_store_at_any_moment(disordered: Told) -> None:
    chance = Random(SEED)
    for customer in disordered.customers:
        history = disordered.remembers(customer)
        for at in (None, *disordered.instants(history, chance)):
            entries = disordered.story(history, at)
            held = [
                (each.decision.decision_id, each.decision.outcome, each.decision.reason)
                for each in history.memory.decisions.values()
                if at is None or (each.wall or 0 if disordered.live else parse_instant(each.decision.at)) <= at
            ]
            assert (said(entries), differences(entries)) == (sorted(held), []), (SEED, customer, at)


def test_by_the_deployments_own_clock_decisions_are_no_longer_kept(disordered: Told) -> None:
    """A difference about what is older is not told as one, since the store has forgotten it."""
    history = disordered.remembers("c1")
    now = history.now if disordered.live else history.clock
    assert history.memory.kept_since == now - 90 * 1_440 * MINUTE


def test_in_order_every_story_is_that_of_the_oracle_and_names_what_stopped_a_message(ordered: Told) -> None:
    """The clock stands at the last event: what is due at that moment, or later, is not decided yet."""
    wanted: dict[str, list[Expected]] = {customer: [] for customer in ordered.customers}
    flows = [flow.name for flow in FLOWS if flow.name not in NEWS]
    for each in expected(ordered.events, -1, flows=flows):
        wanted[each.customer].append(each)
    clock = max(parse_instant(event["timestamp"]) for event in ordered.events)
    # At the very moment of the clock what an event decides at once is decided.
    of_the_last = {each.customer: each for each in expected(ordered.events, 0, flows=flows) if each.at == clock}
    assert not of_the_last
    chance, decided = Random(SEED), 0
    for customer in ordered.customers:
        history = ordered.remembers(customer)
        for at in (None, *ordered.instants(history, chance)):
            entries = ordered.story(history, at)
            told = [e for e in entries if e.what == "decision"]
            mine = sorted(Expected(customer, e.flow, e.message, e.at, e.outcome, e.reason) for e in told)
            assert mine == [each for each in wanted[customer] if at is None or each.at <= at], (SEED, customer, at)
            for decision in told:
                guards = [e for e in entries if e.what == "guard" and e.message_id == decision.message_id]
                stopped = [e.reason for e in guards if e.verdict == "skip"]
                assert stopped[:1] == ([decision.reason] if decision.outcome == "skip" else []), (SEED, customer)
            decided += len(told)
    assert decided > CUSTOMERS


def test_a_story_has_the_events_in_the_order_in_which_they_came(ordered: Told) -> None:
    history: Any = ordered.remembers("c1")
    hers = [event["timestamp"] for event in ordered.events if event.get("userId") == "c1"]
    times = [format_instant(e.at) for e in ordered.story(history) if e.what == "event"]
    assert times == hers
