"""In which order two clocks went on, and what only a note can tell: seen from the shard, and told afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from operators.explain import explain
from operators.flow import Flow, Template, minutes, on, send, wait
from operators.guards import Rules
from operators.inputs import DELIVERIES
from operators.memory import Memory, Recalled, Taken, in_order
from operators.program import Program
from operators.trace import Entry
from state import decisions
from state.arrivals import Late
from state.customer import Customer
from state.decisions import Decision
from state.decode import Decoder
from state.events import Event, ProductAdded, ProductViewed
from state.ids import Ids
from state.messages import Delivery, Result
from state.records import TopicPartition
from tests.operators.shards import MINUTE, START, TOPIC, Desk, agrees, desk, identify, message, track

RULES = Rules(min_gap=20 * MINUTE)


def nothing(_: Event, __: Customer) -> dict[str, Any]:
    return {}


at_once = Flow("at_once", enter=on(ProductViewed), steps=[send(Template("at_once", nothing))])
as_well = Flow("as_well", enter=on(ProductAdded), steps=[send(Template("as_well", nothing))])
later = Flow("later", enter=on(ProductAdded), steps=[wait("a_while", minutes(1)), send(Template("later", nothing))])
WHO = [identify("anna", START - 2), agrees("anna", START - 1)]
VIEWED, ADDED = (
    track("anna", START, "Product Viewed", product_id="p1"),
    track("anna", START, "Product Added", product_id="p1"),
)


def told(shop: Desk, number: int, result: Result, retry_after_seconds: float = 0.0) -> Delivery:
    """What a courier tells of the message with this number."""
    sent = message(shop.outbox("messages")[number])
    when = "2026-01-05T12:00:00.000Z"
    delivery = Delivery(
        message_id=sent.message_id,
        at=when,
        attempt=sent.attempt,
        provider="smtp",
        result=result,
        retry_after_seconds=retry_after_seconds,
    )
    shop.delivery("anna", delivery)
    return delivery


def made(shop: Desk) -> list[Decision]:
    """In the order in which they were published."""
    return [decisions.from_json(row.value) for row in shop.outbox("decisions")]


def notes(shop: Desk) -> list[Late]:
    arrivals = shop.shard.residents.entry(Ids(b"secret").customer(b"anna"), "anna").customer.arrivals
    return arrivals.late if arrivals is not None else []


def story(
    shop: Desk, bodies: list[dict[str, Any]], results: list[Delivery], *flows: Flow[Any], rules: Rules = RULES
) -> list[Entry]:
    read, inputs, clock = Decoder("PLN"), list[Taken](), shop.shard.around.clock
    for offset, body in enumerate(bodies):
        raw = json.dumps(body).encode()
        event = read.decode(raw, key=b"anna", topic=TOPIC, partition=0, offset=offset, now=START, clock=clock)
        inputs.append(Taken(START, TOPIC, 0, offset, event))
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
    now = START + 12 * 60 * MINUTE
    return explain(Program(flows), rules, Ids(b"secret"), memory, clock=clock, until=now, clock_now=now, wall_now=now)


@pytest.mark.parametrize("wakes_first", [False, True])
def test_whether_a_retry_or_a_wait_came_first_is_told_as_it_was(tmp_path: Path, wakes_first: bool) -> None:
    with desk(tmp_path, at_once, later, rules=RULES) as shop:
        shop.clock_at(START)
        shop.events(*WHO, VIEWED, ADDED)
        result = told(shop, 0, "deferred", retry_after_seconds=120 if not wakes_first else 30)
        if wakes_first:
            shop.clock_at(START + 2 * MINUTE)
        shop.wall.ms = START + 5 * MINUTE
        shop.shard.take([])
        shop.clock_at(START + 2 * MINUTE)
        entries = story(shop, [*WHO, VIEWED, ADDED], [result], at_once, later)
        decided = [each.decision_id for each in made(shop)]
    assert [each.decision_id for each in entries if each.what == "decision"] == decided
    assert {each.stored for each in entries if each.decision_id} == {"same"}
