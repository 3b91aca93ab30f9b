"""The job that is compared: its events are ones that Impuls takes, its oracle is right, its ruler measures."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.peers import topics
from benchmarks.peers.environments import REQUIREMENTS, version_of
from benchmarks.peers.job import (
    ADDED,
    EVENT_BYTES,
    HOUR_MS,
    MINUTE_MS,
    OPENS_AT,
    ORDERED,
    PARTITIONS,
    VIEWED,
    Day,
    Event,
    Promise,
    Reminder,
    expected,
)
from benchmarks.peers.lineup import LINEUP, RATIOS, Peer
from benchmarks.peers.meter import Meter
from benchmarks.peers.runs import Course, run_impuls, run_peer
from benchmarks.peers.suite import Row, ratios
from state.decode import Decoder, Rejected
from state.events import OrderCompleted, ProductAdded, ProductViewed
from tests.brokers import Broker

LATER = "somebody else"


def happened(*rows: tuple[float, str, str]) -> list[Event]:
    """(minutes, customer, what), all in one partition."""
    return [Event(OPENS_AT + round(at * MINUTE_MS), customer, name, 0, b"") for at, customer, name in rows]


def reminded(events: Sequence[Event], promise: Promise = Promise.ON_TIME) -> list[tuple[str, float]]:
    found = expected(events, promise)
    return sorted((each.customer, (each.at - OPENS_AT) / MINUTE_MS) for each in found.elements())


def test_who_leaves_a_cart_for_an_hour_is_reminded_once() -> None:
    assert reminded(happened((0, "ola", ADDED), (61, LATER, VIEWED), (300, LATER, VIEWED))) == [("ola", 60)]


def test_an_order_or_another_addition_within_the_hour_comes_before_the_reminder() -> None:
    assert reminded(happened((0, "ola", ADDED), (60, "ola", ORDERED), (300, LATER, VIEWED))) == []
    assert reminded(happened((0, "ola", ADDED), (60, "ola", ADDED), (300, LATER, VIEWED))) == [("ola", 120)]


def test_a_look_at_a_product_changes_nothing_and_a_late_order_comes_too_late() -> None:
    day = happened((0, "ola", ADDED), (30, "ola", VIEWED), (70, "ola", ORDERED), (300, "ola", VIEWED))
    assert reminded(day) == [("ola", 60)]


def test_nobody_is_reminded_before_the_time_of_the_partition_is_there() -> None:
    day = happened((0, "ola", ADDED), (60, LATER, VIEWED))
    assert reminded(day) == []
    assert reminded(day, Promise.AND_AT_THE_END) == [("ola", 60)]


def test_without_timers_only_those_are_reminded_who_come_back() -> None:
    day = happened((0, "ola", ADDED), (0, "ewa", ADDED), (90, "ola", VIEWED), (300, LATER, VIEWED))
    assert reminded(day, Promise.WHEN_SHE_COMES_BACK) == [("ola", 60)]
    assert reminded(day) == [("ewa", 60), ("ola", 60)]


def test_the_day_is_the_same_for_everybody_and_one_that_impuls_takes() -> None:
    events = list(Day(200).events())
    assert events == list(Day(200).events()) != list(Day(200, seed=2).events())
    assert {len(event.value) for event in events} == {EVENT_BYTES}
    assert [event.at for event in events] == sorted(event.at for event in events)
    decoder, kinds = Decoder("PLN"), Counter[str]()
    for offset, event in enumerate(events):
        taken = decoder.decode(
            event.value,
            key=event.customer.encode(),
            topic="shop",
            partition=event.partition,
            offset=offset,
            now=event.at + HOUR_MS,
        )
        assert not isinstance(taken, Rejected), taken
        assert (taken.at, taken.customer) == (event.at, event.customer)
        kinds[type(taken).__name__] += 1
    assert kinds[ProductViewed.__name__] > kinds[ProductAdded.__name__] > kinds[OrderCompleted.__name__] > 0
    assert {event.partition for event in events[-PARTITIONS:]} == set(range(PARTITIONS))


def test_the_day_has_reminders_of_both_kinds_and_no_two_events_of_a_customer_an_hour_apart() -> None:
    events = list(Day(500).events())
    on_time, back = (expected(events, promise) for promise in (Promise.ON_TIME, Promise.WHEN_SHE_COMES_BACK))
    assert 0 < back.total() < on_time.total() < len(events) / 5
    assert back <= on_time
    assert max(on_time.values()) == 1
    times = {(event.customer, event.at) for event in events}
    assert not [at for who, at in times if (who, at + HOUR_MS) in times]


def test_the_meter_sees_what_a_process_and_its_children_use() -> None:
    busy = "import time\nwhile time.process_time() < 0.4: pass"
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {busy!r}])\n{busy}"
    began = time.time()
    with subprocess.Popen([sys.executable, "-c", parent]) as process, Meter(process.pid) as meter:
        process.wait()
    assert 0.6 < meter.used(time.time()) - meter.used(began) < 1.6


def test_each_peers_packages_are_pinned_with_hashes_and_no_index() -> None:
    for peer in LINEUP:
        if peer.environment:
            assert version_of(peer.environment, peer.package)
    for requirements in REQUIREMENTS.glob("*.txt"):
        text = requirements.read_text()
        assert "--hash=sha256:" in text
        assert "://" not in text


def test_a_ratio_needs_two_who_did_it_right() -> None:
    by_name = {peer.name: peer for peer in LINEUP}
    assert {name for pair in RATIOS.values() for name in pair} <= by_name.keys()

    def row(peer: Peer, rate: float, fault: str = "") -> Row:
        return Row(peer, "1", 10, 10, 1, [rate], fault)

    rows = [row(by_name["impuls"], 300), row(by_name["quix"], 200), row(by_name["bare-kafka-python"], 600, "wrong")]
    assert ratios(rows) == {"vs_quix_kafka_python": 1.5}


@pytest.mark.timeout(240)
def test_the_bare_loops_and_impuls_remind_whom_the_oracle_says(kafka_for_impuls: Broker, tmp_path: Path) -> None:
    topic, events = f"shop-{uuid.uuid4().hex[:8]}", list(Day(150).events())
    topics.fill(kafka_for_impuls.servers, topic, events)
    course, wanted = Course(kafka_for_impuls.servers, topic, len(events), 300), expected(events, Promise.ON_TIME)
    for module in ("peer_bare_kafka_python", "peer_bare_librdkafka"):
        folder = tmp_path / f"{topic}-{module.replace('_', '-')}"
        found = run_peer(Path(sys.executable), f"benchmarks.peers.{module}", "", course, folder)
        assert found.reminders == wanted
        assert found.per_cpu_second > 0
    ours = run_impuls("kafka-python", course, tmp_path / f"{topic}-impuls")
    assert ours.reminders == wanted
    assert Reminder("closing-0", events[-1].at + HOUR_MS) not in ours.reminders
