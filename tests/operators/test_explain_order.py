"""In which order two clocks went on, and what only a note can tell: seen from the shard, and told afterwards."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from operators.explain import explain
from operators.flow import Flow, Template, days, minutes, on, send, split, wait, when
from operators.guards import Rules
from operators.inputs import DELIVERIES
from operators.memory import Memory, Recalled, Taken, in_order
from operators.program import Program
from operators.trace import Entry
from state.arrivals import Late
from state.customer import Customer
from state.decode import Decoder
from state.events import Event, OrderCompleted, ProductAdded
from state.ids import Ids
from state.instants import parse_instant
from state.messages import Delivery
from state.records import TopicPartition
from tests.operators.shards import HOUR, MINUTE, START, TOPIC, Desk, desk, track
from tests.operators.tries import ADDED, RULES, VIEWED, WHO, at_once, made, nothing, told


def has_ordered(_: Event, customer: Customer) -> bool:
    return customer.orders > 0


later = Flow("later", enter=on(ProductAdded), steps=[wait("a_while", minutes(1)), send(Template("later", nothing))])


def notes(shop: Desk) -> list[Late]:
    arrivals = shop.shard.residents.entry(Ids(b"secret").customer(b"anna"), "anna").customer.arrivals
    return arrivals.late if arrivals is not None else []


def story(
    shop: Desk,
    bodies: list[dict[str, Any]],
    results: list[Delivery],
    *flows: Flow[Any],
    rules: Rules = RULES,
    now: int = START + 12 * HOUR,
) -> list[Entry]:
    read, inputs, clock = Decoder("PLN"), list[Taken](), shop.shard.around.clock
    for offset, body in enumerate(bodies):
        raw, wall = json.dumps(body).encode(), max(START, parse_instant(body["timestamp"]))
        event = read.decode(raw, key=b"anna", topic=TOPIC, partition=0, offset=offset, now=wall, clock=clock)
        inputs.append(Taken(wall, TOPIC, 0, offset, event))
    inputs += [
        Taken(START + offset * 5 * MINUTE, DELIVERIES, 0, offset, result) for offset, result in enumerate(results)
    ]
    published = {each.decision_id: Recalled(each, START, offset) for offset, each in enumerate(made(shop))}
    watermarks = {TopicPartition(TOPIC, 0): 100, TopicPartition(DELIVERIES, 0): 100}
    late = notes(shop)
    memory = Memory(
        customer="anna",
        inputs=in_order(inputs, live=clock == "live", late=late),
        decisions=published,
        watermarks=watermarks,
        late={each.place: each for each in late},
    )
    return explain(Program(flows), rules, Ids(b"secret"), memory, clock=clock, until=now, clock_now=now, wall_now=now)


@pytest.mark.parametrize("wakes_first", [False, True])
def test_whether_a_retry_or_a_wait_came_first_is_told_as_it_was(tmp_path: Path, wakes_first: bool) -> None:
    with desk(tmp_path, at_once, later, rules=RULES) as shop:
        shop.clock_at(START)
        shop.events(*WHO, VIEWED, ADDED)
        result = told(shop, 0, "deferred", retry_after_seconds=30)
        shop.wall.ms = START + 5 * MINUTE
        if not wakes_first:
            shop.clock_at(START + MINUTE // 2 + 1)
        shop.clock_at(START + 2 * MINUTE)
        entries = story(shop, [*WHO, VIEWED, ADDED], [result], at_once, later, now=START + 2 * MINUTE)
        decided = [each.decision_id for each in made(shop)]
    assert [each.decision_id for each in entries if each.what == "decision"] == decided
    assert {each.stored for each in entries if each.decision_id} == {"same"}


def test_on_the_logs_own_time_it_is_noted_when_a_message_was_given_back(tmp_path: Path) -> None:
    """What is decided after it hangs on it; a result that changes nothing needs no note."""
    with desk(tmp_path, at_once, clock="replay") as shop:
        shop.events(*WHO, VIEWED)
        told(shop, 0, "deferred")
        told(shop, 0, "accepted")
        noted = [(each.place, each.after) for each in notes(shop)]
    assert noted == [((DELIVERIES, 0, 0), (TOPIC, 0, 2))]


def test_on_the_logs_own_time_a_retry_is_told_with_what_was_looked_at_again(tmp_path: Path) -> None:
    with desk(tmp_path, at_once, clock="replay") as shop:
        shop.clock_at(START)
        shop.events(*WHO, VIEWED)
        result = told(shop, 0, "deferred")
        shop.wall.ms = START + 5 * MINUTE
        shop.shard.take([])
        entries = story(shop, [*WHO, VIEWED], [result], at_once)
    told_of = [each.what for each in entries if each.what in ("decision", "delivery", "looked_again")]
    assert told_of == ["decision", "delivery", "decision", "looked_again", "decision"]
    assert {each.at for each in entries if each.what == "looked_again"} == {START}


def test_on_the_logs_own_time_each_attempt_is_made_before_its_result_is_told(tmp_path: Path) -> None:
    rules = Rules(quiet_from=12 * 60, quiet_to=15 * 60)
    with desk(tmp_path, at_once, clock="replay", rules=rules) as shop:
        shop.clock_at(START)
        shop.events(*WHO, VIEWED)
        shop.clock_at(START + 9 * HOUR)
        results = [told(shop, 0, "deferred")]
        shop.wall.ms = START + 5 * MINUTE
        shop.shard.take([])
        shop.clock_at(START + 10 * HOUR)
        results.append(told(shop, 1, "accepted"))
        entries = story(shop, [*WHO, VIEWED], results, at_once, rules=rules)
    decided = [(each.outcome, each.reason, each.stored) for each in entries if each.what in ("decision", "difference")]
    quiet, sent = ("defer", "quiet_hours", "same"), ("send", "", "same")
    assert decided == [quiet, sent, ("defer", "retry", "same"), quiet, sent]
    assert entries[-1].what == "delivery"


def test_a_retry_goes_before_what_is_held_until_a_wait_has_ended(tmp_path: Path) -> None:
    """The shard clock was behind when she bought: her order waited, the retry did not."""
    silent = replace(later, steps=[wait("a_while", minutes(1)), split(when(has_ordered, *later.steps[1:]))])
    leaves = replace(
        at_once, leave=[on(OrderCompleted)], steps=[*at_once.steps, wait("a_day", days(1)), *at_once.steps]
    )
    bought = track("anna", START + 2 * MINUTE, "Order Completed", order_id="o1")
    with desk(tmp_path, leaves, silent, rules=RULES) as shop:
        shop.clock_at(START)
        shop.events(*WHO, VIEWED, ADDED)
        result = told(shop, 0, "deferred", retry_after_seconds=180)
        shop.wall.ms = START + 2 * MINUTE
        shop.events(bought)
        shop.wall.ms = START + 5 * MINUTE
        shop.shard.take([])
        shop.clock_at(START + 4 * MINUTE)
        entries = story(shop, [*WHO, VIEWED, ADDED, bought], [result], leaves, silent)
        decided = [each.decision_id for each in made(shop)]
    assert [each.decision_id for each in entries if each.what == "decision"] == decided
    assert {each.stored for each in entries if each.decision_id} == {"same"}
