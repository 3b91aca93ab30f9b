"""What a customer's orders came to once all is said: updates, cancellations and refunds included.  Exact."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from operators.measuring.rows import Ordered


@dataclass(slots=True)
class Order:
    """`minor` is what is left of it; a cancelled one never was, a refunded one was an order all the same."""

    at: int
    minor: int
    currency: str
    cancelled: bool = False


def settled(rows: Iterable[Ordered]) -> list[Order]:
    """The orders in order of time, out of all that was said about them.

    What was said at the very moment of an order was said after it: clocks often tell whole seconds.  An order told
    twice is one order.  A refund without an amount takes all that is left, and none takes more than that; one in
    another currency than the order's takes all, since nobody can say how much of it.
    """
    found: dict[str, Order] = {}
    for row in sorted(rows, key=lambda row: (row.at, row.what != "completed")):
        order = found.get(row.order_id)
        match row.what:
            case "completed":
                found.setdefault(row.order_id, Order(row.at, row.minor or 0, row.currency))
            case "updated" if order is not None and row.minor is not None:
                order.minor, order.currency = row.minor, row.currency
            case "cancelled" if order is not None:
                order.minor, order.cancelled = 0, True
            case "refunded" if order is not None:
                known = row.minor is not None and row.currency == order.currency
                order.minor -= min(order.minor, row.minor or 0) if known else order.minor
    return [order for order in found.values() if not order.cancelled]
