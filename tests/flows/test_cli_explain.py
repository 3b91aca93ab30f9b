"""Why she did or did not get a message: asked of a shop that ran for real, with mail, and was killed in between."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from flows import worker_doors as doors
from flows.catalog import load
from flows.cli.explaining import story
from flows.cli.history import remember
from flows.demo_mail import Inbox
from flows.supervisor_health import read_beat
from flows.worker_process import settings_for
from operators.trace import Entry
from state.instants import format_instant
from state.records import TopicPartition, Writer
from tests.flows.commands import ROOT, Ended, asked, impuls

FLOWS = """
from datetime import timedelta
from flows.waiting import waits_for_it
from operators.flow import Flow, Template, on, send, split, wait, wait_spread, when
from state.catalogue import BackInStock
from state.events import OrderCompleted, ProductAdded, ProductEvent, ProductViewed, Tracked


def nothing(event, customer):
    return {}


def is_dear(added, customer):
    return added.price is not None and added.price.minor >= 5000


def has_ordered(event, customer):
    return customer.orders > 0


def always_fails(event, customer):
    raise KeyError("what it stumbled over")


nudge, thanks, last = (Template(name, nothing) for name in ("nudge", "thanks", "last"))
second = timedelta(seconds=1)
nudges = Flow(
    "nudges", enter=on(ProductAdded, where=is_dear), per=ProductEvent, restart=True, leave=[on(OrderCompleted)],
    steps=[wait("a_moment", second), split(when(has_ordered, send(thanks)), otherwise=[send(nudge)]),
           wait("another", 3 * second), send(last)],
)
fragile = Flow("fragile", enter=on(ProductViewed, where=always_fails), steps=[send(nudge)])
patient = Flow("patient", enter=on(Tracked), steps=[wait("for_long", timedelta(days=3)), send(last)])
hopeful = Flow("hopeful", enter=on(BackInStock, where=waits_for_it), steps=[wait_spread("in_turn", second), send(last)])
FLOWS = [nudges, fragile, patient, hopeful]
"""
CAP = 3


@dataclass
class Shop:
    """A deployment in a folder of its own, and what was appended to its log."""

    folder: Path
    inbox: Inbox
    running: subprocess.Popen[bytes] | None = None
    number: int = 0
    told: dict[str, list[tuple[int, str, dict[str, Any]]]] = field(default_factory=dict)

    @cached_property
    def writer(self) -> Writer:
        """Opened once: what is said to have happened now must be in the log before a wait of a second is over."""
        return doors.open_writer(settings_for(str(self.config)))

    @property
    def config(self) -> Path:
        return self.folder / "impuls.toml"

    def start(self) -> None:
        command = [sys.executable, "-c", "from flows.cli import main; main()", "run", "--config", str(self.config)]
        path = f"{ROOT}:{self.folder}"
        with (self.folder / "impuls.log").open("ab") as out:
            self.running = subprocess.Popen(
                command, env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin"}, cwd=self.folder, stderr=out
            )

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        assert self.running is not None
        self.running.send_signal(how)
        self.running.wait(30)

    def happens(self, customer: str, event: str, late_ms: int = 0, **properties: Any) -> None:
        self.number += 1
        if event == "Order Completed":
            # Orders are read apart from clicks: what comes to both in one moment may be taken in either order, which
            # the log does not tell.
            time.sleep(0.15)
        at = round(time.time() * 1000) - late_ms
        body = {"type": "track", "event": event, "properties": properties}
        if event == "identify":
            body = {"type": "identify", "traits": properties}
        self.put(customer, {**body, "messageId": f"m{self.number}", "timestamp": format_instant(at)}, at, event)

    def put(self, customer: str, body: dict[str, Any], at: int, event: str) -> None:
        topic = "orders" if event == "Order Completed" else "clickstream"
        assert self.writer.send(topic, customer.encode(), json.dumps({**body, "userId": customer}).encode())
        assert self.writer.flush(10)
        self.told.setdefault(customer, []).append((at, event, body))

    def tells(self, product: str, **properties: Any) -> None:
        """The shop's catalogue does."""
        self.number += 1
        body = {"type": "track", "event": "Product Changed", "messageId": f"m{self.number}"}
        at = format_instant(round(time.time() * 1000))
        whole = {**body, "timestamp": at, "properties": {"product_id": product, **properties}}
        assert self.writer.send("catalogue", product.encode(), json.dumps(whole).encode())
        assert self.writer.flush(10)

    def knows_of(self, customer: str, product: str) -> bool:
        record = remember(settings_for(str(self.config)), customer, lambda _, __: None).record
        return record is not None and product in record.interests

    def joins(self, customer: str) -> None:
        self.happens(customer, "identify", email=f"{customer}@example.invalid")
        self.happens(customer, "Consent Granted", channel="email", topic="marketing")

    def ask(self, *arguments: str) -> Ended:
        return asked(*arguments, "--config", self.config, path=self.folder, cwd=self.folder)

    def is_ready(self) -> bool:
        return bool(read_beat(self.folder / "data" / "run", "worker-0").get("ready"))

    def is_settled(self) -> bool:
        """Nobody's wait is over and undecided, and each message has its result."""
        settings = settings_for(str(self.config))
        for customer in self.told:
            record = remember(settings, customer, lambda _, __: None).record
            if record is None or record.pending or any(each.flow != "patient" for each in record.passages):
                return False
        return True

    def sent_to(self, customer: str) -> list[str]:
        made = [decision for _, decision in self.decisions() if decision["customer"] == customer]
        return [decision["message"] for decision in made if decision["outcome"] == "send"]

    def decided(self, customer: str, at: int | None = None) -> list[tuple[str, str]]:
        """What was decided about her by a moment, as the topic has it."""
        return sorted(
            (decision["decision_id"], f"{decision['outcome']} {decision.get('reason', '')}")
            for wall, decision in self.decisions()
            if decision["customer"] == customer and (at is None or wall <= at)
        )

    def decisions(self) -> list[tuple[int, dict[str, Any]]]:
        """What is in the topic, each with the time it got there."""
        reader = doors.open_reader(settings_for(str(self.config)), "test")
        tps = [TopicPartition("decisions", partition) for partition in reader.partitions("decisions")]
        positions, ends = reader.beginnings(tps), reader.ends(tps)
        reader.assign(positions)
        found: dict[str, tuple[int, dict[str, Any]]] = {}
        while any(positions[tp] < ends[tp] for tp in tps):
            for fetched in reader.poll(1000):
                positions[TopicPartition(fetched.topic, fetched.partition)] = fetched.end
                for record in fetched.records:
                    decision = json.loads(record.value or b"")
                    found.setdefault(decision["decision_id"], (record.timestamp_ms, decision))
        reader.close()
        return sorted(found.values(), key=lambda row: (row[0], row[1]["decision_id"]))


def until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not in {seconds} seconds: {what}"
        time.sleep(0.1)


def dear(product: str) -> dict[str, Any]:
    return {"product_id": product, "price": 60.0, "cart_id": "k"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Some customers of half a minute, with a worker that is killed in between, and real mail."""
    folder = tmp_path_factory.mktemp("shop")
    for name in ("nudge", "thanks", "last"):
        (folder / "templates" / name).mkdir(parents=True)
        (folder / "templates" / name / "subject.txt").write_text(f"Your {name}\n")
        (folder / "templates" / name / "body.txt").write_text("Hello.\n")
    (folder / "shopflows.py").write_text(FLOWS)
    (folder / "otherflows.py").write_text(FLOWS.replace("minor >= 5000", "minor >= 7000"))
    inbox = Inbox()
    shop = Shop(folder, inbox)
    shop.config.write_text(
        f'data_dir = "{folder}/data"\nsecret_file = "{folder}/data/secret"\nflows = "shopflows"\nshards = 4\n'
        f'[guards]\nquiet_hours = "none"\nmarketing_cap = "{CAP} per 7 days"\n[log]\npartitions = 3\n'
        f'[smtp]\nport = {inbox.port}\n[http]\nlisten = "none"\n[metrics]\nlisten = "none"\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        live(shop)
        yield shop
    shop.writer.close()
    inbox.close()


def live(shop: Shop) -> None:
    """What happens to whom; the clock is that of the wall, so it takes as long as it takes."""
    shop.start()
    until(shop.is_ready, "ready")
    for customer in ("anna", "ben", "cleo", "emil", "fred", "gina", "hugo"):
        shop.joins(customer)
    shop.happens("dora", "identify", email="dora@example.invalid")
    shop.happens("anna", "Product Added", **dear("p1"))
    shop.happens("ben", "Product Added", product_id="p1", price=10.0, cart_id="k")
    shop.happens("cleo", "Product Added", **dear("p1"))
    shop.happens("cleo", "Order Completed", order_id="o1")
    shop.happens("dora", "Product Added", **dear("p1"))
    shop.happens("emil", "Product Viewed", product_id="p1")
    shop.happens("fred", "Sang A Song")
    for customer in ("jane", "kate", "lena"):
        shop.joins(customer)
        shop.happens(customer, "Product Added", product_id="p7", price=10.0, cart_id="k")
    shop.happens("kate", "Order Completed", order_id="o1", products=[{"product_id": "p7"}])
    shop.happens("gina", "Product Added", **dear("p1"))
    shop.happens("gina", "Product Added", **dear("p2"))
    shop.happens("hugo", "Product Added", **dear("p1"))
    until(lambda: all(shop.knows_of(name, "p7") for name in ("jane", "kate", "lena")), "what they wait for")
    shop.tells("p7", availability="out of stock")
    shop.tells("p7", availability="in stock")
    shop.tells("p8", availability="in stock")
    until(lambda: shop.sent_to("hugo") == ["nudge"], "hugo's first message")
    shop.happens("hugo", "Order Completed", late_ms=300, order_id="o1")
    wander(shop, random.Random(11), [f"r{n}" for n in range(4)], 16)
    shop.stop(signal.SIGKILL)
    shop.joins("ida")  # while nobody runs: she fills a cart, buys, and is not to be reminded afterwards
    shop.happens("ida", "Product Added", late_ms=500, **dear("p1"))
    shop.happens("ida", "Order Completed", order_id="o1")
    wander(shop, random.Random(12), [f"r{n}" for n in range(4)], 8)
    shop.start()
    wander(shop, random.Random(13), [f"r{n}" for n in range(4)], 16)
    until(shop.is_settled, "all that was due is decided and accepted")
    shop.stop()


def wander(shop: Shop, chance: random.Random, customers: list[str], steps: int) -> None:
    for customer in customers:
        if customer not in shop.told:
            shop.joins(customer)
    for _ in range(steps):
        customer, late = chance.choice(customers), chance.choice([0, 0, 0, 400])
        if chance.random() < 0.7:
            shop.happens(customer, "Product Added", late, **dear(f"p{chance.randint(1, 3)}"))
        else:
            shop.happens(customer, "Order Completed", late, order_id=f"o{shop.number}")
        time.sleep(chance.uniform(0, 0.4))  # customers take their time; nothing is waited for


def stories(shop: Shop, customer: str, at: int | None = None) -> list[Entry]:
    settings = settings_for(str(shop.config))
    return story(settings, load("shopflows").program, remember(settings, customer, lambda _, __: None), at)


def decided(entries: list[Entry]) -> list[tuple[str, str]]:
    return sorted((e.decision_id, f"{e.outcome} {e.reason}") for e in entries if e.what == "decision")


def differences(entries: list[Entry]) -> list[Entry]:
    return [e for e in entries if e.what == "difference" or e.stored not in ("", "same")]


def test_every_customers_story_is_that_of_the_store(shop: Shop) -> None:
    for customer in shop.told:
        entries = stories(shop, customer)
        assert differences(entries) == [], customer
        assert decided(entries) == shop.decided(customer)


def test_at_any_moment_of_the_past_the_story_ends_with_what_was_decided_by_then(shop: Shop) -> None:
    seed = 7
    chance = random.Random(seed)
    for customer in ("anna", "gina", "hugo", "ida", "r0", "r1", "r2", "r3"):
        first, end = shop.told[customer][0][0], shop.decisions()[-1][0] + 2000
        for _ in range(4):
            at = chance.randint(first, end)
            entries = stories(shop, customer, at)
            assert (decided(entries), differences(entries)) == (shop.decided(customer, at), []), (seed, customer, at)


def test_who_got_a_message_sees_the_event_the_wait_the_test_the_guards_and_the_delivery(shop: Shop) -> None:
    lines = shop.ask("explain", "anna", "--json").lines()
    told = [line["what"] for line in lines if line["what"] != "guard"][2:]
    assert told[:9] == [
        "event", "condition", "entered", "parked", "wait_ended", "condition", "decision", "handed_on", "parked",
    ]  # fmt: skip
    delivery = next(line for line in lines if line["what"] == "delivery")
    assert (delivery["message"], delivery["outcome"]) == ("nudge", "accepted")
    asked = [(line["name"], line["value"]) for line in lines if line["what"] == "condition"]
    assert asked == [("is_dear", True), ("has_ordered", False)]
    assert [line["name"] for line in lines if line["what"] == "guard"][:3] == ["flow_stopped", "address", "consent"]


def test_who_heard_of_the_catalogue_sees_what_it_told(shop: Shop) -> None:
    lines = shop.ask("explain", "jane", "--json").lines()
    [news] = [line for line in lines if line["what"] == "event" and line["name"] == "Product Changed"]
    assert (news["topic"], news["detail"]) == ("catalogue", "p7 available again")
    [asked] = [line for line in lines if line["what"] == "condition" and line["flow"] == "hopeful"]
    assert (asked["name"], asked["value"]) == ("waits_for_it", True)
    assert shop.sent_to("jane") == ["last"]


@pytest.mark.parametrize(
    ("customer", "cause"),
    [
        ("ben", "did not enter: is_dear is false"),
        ("cleo", "left because of Order Completed"),
        ("dora", "consent: email/marketing never given, so skip"),
        ("emil", "set aside, its own code failed: KeyError"),
        ("fred", "waits at for_long"),
        ("gina", f"frequency_cap: {CAP} sent in the last 7 days, at most {CAP}, so skip"),
        ("hugo", "left because of Order Completed"),
        ("kate", "waits_for_it (enter) is false"),
    ],
)
def test_who_got_none_is_told_the_cause(shop: Shop, customer: str, cause: str) -> None:
    ended = shop.ask("explain", customer)
    assert ended.code == 0, ended.err
    assert cause in ended.out
    assert "all as in the store" in ended.out


def test_before_it_happened_it_had_not_happened(shop: Shop) -> None:
    at, *_ = next(row for row in shop.told["anna"] if row[1] == "Product Added")
    ended = shop.ask("explain", "anna", "--at", format_instant(at + 500))
    assert "waits at a_moment" in ended.out.splitlines()[-1]
    assert "●" not in ended.out
    assert "0 decisions" in ended.out


def test_one_flow_alone(shop: Shop) -> None:
    lines = shop.ask("explain", "emil", "--flow", "patient", "--json").lines()
    assert {line["what"] for line in lines} == {"event"}


def test_a_flow_that_decides_otherwise_today_shows_the_difference_and_why(shop: Shop) -> None:
    ended = impuls(
        "explain", "anna", "--config", shop.config, path=shop.folder, cwd=shop.folder, IMPULS_FLOWS="otherflows"
    )
    assert ended.code == 0, ended.err
    assert "differences from the store" in ended.out.splitlines()[0]
    assert "decisions were made by version" in ended.out
    assert "in the store, and what is left in the log does not lead to it" in ended.out


def test_what_the_log_no_longer_holds_is_missed_aloud(shop: Shop) -> None:
    settings = settings_for(str(shop.config))
    history = remember(settings, "anna", lambda _, __: None)
    later = [taken for taken in history.memory.inputs if taken.topic != "clickstream"]
    history.memory = replace(history.memory, inputs=later)
    entries = story(settings, load("shopflows").program, history, None)
    assert [e.stored for e in differences(entries) if e.decision_id] == ["only", "only"]
    assert any("counts 3 events of hers, the log still has 0" in e.detail for e in entries)


def test_looking_at_personal_data_is_written_down(shop: Shop) -> None:
    shop.ask("explain", "fred")
    lines = [json.loads(line) for line in (shop.folder / "data" / "audit.jsonl").read_text().splitlines()]
    assert {"explain"} <= {line["command"] for line in lines}
    assert "fred" not in (shop.folder / "data" / "audit.jsonl").read_text()


def test_a_flow_is_drawn_with_those_who_rest_in_it(shop: Shop) -> None:
    ended = shop.ask("flows", "patient", "--svg", str(shop.folder / "patient.svg"), "--live")
    assert (ended.code, ended.out) == (0, ""), ended.err
    drawn = (shop.folder / "patient.svg").read_text()
    assert "1 inside now" in drawn
    assert "for_long" in drawn
    assert "inside now" not in shop.ask("flows", "patient", "--svg", "-").out
    assert "  inside now: 1 at for_long\n" in shop.ask("flows", "patient", "--live").out
    assert "inside now" not in shop.ask("flows", "patient").out


def test_a_stranger_has_no_story(shop: Shop) -> None:
    ended = shop.ask("explain", "nobody-we-know")
    assert (ended.code, ended.out) == (1, "")
    assert "nothing of this customer" in ended.err
