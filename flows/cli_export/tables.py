"""The tables of an export: their columns, and how a record becomes a row.

The form is a promise (docs/export.md): columns are only ever added, at the end, and may be null in older files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa

from operators.measuring.people import is_machine
from state import decisions
from state import events as ev
from state.decode import Decoder, Rejected
from state.instants import parse_instant
from state.messages import Delivery
from state.money import Money
from state.recommendations import Recommendation
from state.records import Record

SCHEMA = "1"
_TIME = pa.timestamp("ms", tz="UTC")
_MONEY = pa.decimal128(20, 4)
_LINE = pa.struct([("product_id", pa.string()), ("quantity", pa.int64()), ("price", _MONEY)])
_ITEM = pa.struct([("item", pa.string()), ("score", pa.float64()), ("reason", pa.string()), ("because", pa.string())])
_PLACE = {"log_partition": pa.int32(), "log_offset": pa.int64()}
"""Where a row's record stood in its topic."""


@dataclass(frozen=True)
class Table:
    """`key` names what repetitions of one row have in common."""

    name: str
    schema: pa.Schema
    key: tuple[str, ...]


def _table(name: str, key: tuple[str, ...], columns: Mapping[str, pa.DataType]) -> Table:
    schema = pa.schema({**columns, **_PLACE}.items(), metadata={"impuls.schema": SCHEMA})
    return Table(name, schema, key)


DECISIONS = _table(
    "decisions",
    ("decision_id",),
    {
        "decision_id": pa.string(),
        "message_id": pa.string(),
        "at": _TIME,
        "customer": pa.string(),
        "flow": pa.string(),
        "flow_version": pa.string(),
        "passage": pa.string(),
        "step": pa.string(),
        "message": pa.string(),
        "channel": pa.string(),
        "kind": pa.string(),
        "outcome": pa.string(),
        "reason": pa.string(),
        "until": _TIME,
        "cause_topic": pa.string(),
        "cause_partition": pa.int32(),
        "cause_offset": pa.int64(),
        "cause_timer": pa.string(),
        "cause_due": _TIME,
        "experiment": pa.string(),
        "arm": pa.string(),
        "propensity": pa.float64(),
        "consent_id": pa.string(),
        "stalled": pa.bool_(),
        "replaced_by": pa.string(),
        "instead_of": pa.string(),
        "shares": pa.int32(),
        "context": pa.string(),
    },
)
DELIVERIES = _table(
    "deliveries",
    ("message_id", "attempt", "result"),
    {
        "message_id": pa.string(),
        "at": _TIME,
        "customer": pa.string(),
        "attempt": pa.int32(),
        "provider": pa.string(),
        "result": pa.string(),
        "detail": pa.string(),
        "took_ms": pa.float64(),
    },
)
ENGAGEMENT = _table(
    "engagement",
    ("customer", "event_id"),
    {
        "event_id": pa.string(),
        "at": _TIME,
        "customer": pa.string(),
        "kind": pa.string(),
        "message_id": pa.string(),
        "url": pa.string(),
        "user_agent": pa.string(),
        "is_machine": pa.bool_(),
    },
)
ORDERS = _table(
    "orders",
    ("customer", "event_id"),
    {
        "event_id": pa.string(),
        "at": _TIME,
        "customer": pa.string(),
        "kind": pa.string(),
        "order_id": pa.string(),
        "cart_id": pa.string(),
        "total": _MONEY,
        "currency": pa.string(),
        "coupon": pa.string(),
        "products": pa.list_(_LINE),
    },
)
RECOMMENDATIONS = _table(
    "recommendations",
    ("recommendation_id",),
    {
        "recommendation_id": pa.string(),
        "at": _TIME,
        "customer": pa.string(),
        "message_id": pa.string(),
        "block": pa.string(),
        "strategy": pa.string(),
        "model": pa.string(),
        "fallback": pa.bool_(),
        "arm": pa.string(),
        "propensity": pa.float64(),
        "items": pa.list_(_ITEM),
    },
)
TABLES = (DECISIONS, DELIVERIES, ENGAGEMENT, ORDERS, RECOMMENDATIONS)

_ENGAGED: dict[type[ev.Event], str] = {
    ev.EmailDelivered: "delivered",
    ev.EmailOpened: "opened",
    ev.EmailLinkClicked: "clicked",
    ev.EmailBounced: "bounced",
    ev.EmailMarkedAsSpam: "complained",
    ev.Unsubscribed: "unsubscribed",
}
_ORDERED: dict[type[ev.Event], str] = {
    ev.OrderCompleted: "completed",
    ev.OrderUpdated: "updated",
    ev.OrderCancelled: "cancelled",
    ev.OrderRefunded: "refunded",
}
_EXPORTED = (b"Order ", b"Email ", b"Unsubscribed")  # in the name of every event that is exported

Row = dict[str, Any]
Reading = Callable[[Record, int], tuple[Table, Row] | None]
"""(record, partition) → the table it belongs to, and its row without the place; None for what is not exported."""

_delivery = msgspec.json.Decoder(Delivery).decode
_made = msgspec.json.Decoder(Recommendation).decode


def decision_row(record: Record, _: int) -> tuple[Table, Row]:
    decision = decisions.from_json(record.value or b"")
    cause = decision.cause
    row = {name: getattr(decision, name) for name in DECISIONS.schema.names if hasattr(decision, name)}
    row |= {"at": _time(decision.at), "until": _time(decision.until)}
    if cause is not None:
        if cause.timer:
            row |= {"cause_timer": cause.timer, "cause_due": _time(cause.due)}
        else:
            row |= {"cause_topic": cause.topic, "cause_partition": cause.partition, "cause_offset": cause.offset}
    return DECISIONS, row


def delivery_row(record: Record, _: int) -> tuple[Table, Row]:
    delivery = _delivery(record.value or b"")
    row = {name: getattr(delivery, name) for name in DELIVERIES.schema.names if hasattr(delivery, name)}
    return DELIVERIES, {**row, "at": _time(delivery.at), "customer": (record.key or b"").decode(errors="replace")}


def recommendation_row(record: Record, _: int) -> tuple[Table, Row]:
    """Items in the order in which they were shown."""
    made = _made(record.value or b"")
    row = {name: getattr(made, name) for name in RECOMMENDATIONS.schema.names if hasattr(made, name)}
    items = [{name: getattr(each, name) for name in ("item", "score", "reason", "because")} for each in made.items]
    return RECOMMENDATIONS, {**row, "at": _time(made.at), "items": items}


def event_rows(topic: str, currency: str) -> Reading:
    """Reads the records of an input topic."""
    decoder = Decoder(currency)

    def read(record: Record, partition: int) -> tuple[Table, Row] | None:
        if record.value is None or not any(name in record.value for name in _EXPORTED):
            return None
        event = decoder.decode(
            record.value,
            key=record.key,
            topic=topic,
            partition=partition,
            offset=record.offset,
            now=record.timestamp_ms,
            clock="replay",
        )
        if isinstance(event, Rejected):
            return None
        common = {"event_id": event.id, "at": _moment(event.at), "customer": event.customer}
        if type(event) in _ENGAGED and isinstance(event, ev.EmailEvent | ev.Unsubscribed):
            return ENGAGEMENT, {**common, **_engaged(event)}
        if type(event) in _ORDERED and isinstance(event, ev.OrderEvent):
            return ORDERS, {**common, **_ordered(event)}
        return None

    return read


def _engaged(event: ev.EmailEvent | ev.Unsubscribed) -> Row:
    row: Row = {"kind": _ENGAGED[type(event)], "message_id": event.message_id}
    if isinstance(event, ev.EmailEvent):
        row |= {"url": event.url, "user_agent": event.user_agent, "is_machine": is_machine(event.user_agent)}
    return row


def _ordered(event: ev.OrderEvent) -> Row:
    return {
        "kind": _ORDERED[type(event)],
        "order_id": event.order_id,
        "cart_id": event.cart_id,
        "total": _amount(event.total),
        "currency": event.total.currency if event.total else event.currency,
        "coupon": event.coupon,
        "products": [
            {"product_id": line.product_id, "quantity": line.quantity, "price": _amount(line.price)}
            for line in event.products
        ],
    }


def _amount(money: Money | None) -> Decimal | None:
    return money.amount if money is not None else None


def _time(text: str) -> datetime | None:
    return _moment(parse_instant(text)) if text else None


def _moment(at: int) -> datetime:
    seconds, ms = divmod(at, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=1000 * ms)
