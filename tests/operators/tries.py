"""Two messages of one customer at one moment, and what a courier tells of them."""

from __future__ import annotations

from typing import Any

from operators.flow import Flow, Template, on, send
from operators.guards import Rules
from state import decisions
from state.customer import Customer
from state.decisions import Decision
from state.events import Event, ProductAdded, ProductViewed
from state.messages import Delivery, Result
from tests.operators.shards import MINUTE, START, Desk, agrees, identify, message, track

RULES = Rules(min_gap=20 * MINUTE)


def nothing(_: Event, __: Customer) -> dict[str, Any]:
    return {}


at_once = Flow("at_once", enter=on(ProductViewed), steps=[send(Template("at_once", nothing))])
as_well = Flow("as_well", enter=on(ProductAdded), steps=[send(Template("as_well", nothing))])
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
