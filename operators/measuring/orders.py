"""What a customer's orders came to once all is said: updates, cancellations and refunds included.  Exact."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from operators.measuring.rows import Ordered


@dataclass(slots=True)
class Order:
    """`minor` is what is left of it, of the `most` it ever came to; a cancelled one never was, a refunded one was an
    order all the same."""

    at: int
    minor: int
    currency: str
    most: int
    cancelled: bool = False

    def left_of(self, minor: int) -> int:
        """What is left of a part of it: of each part as much as of the whole."""
        return minor * self.minor // self.most if self.most else minor


def settled(rows: Iterable[Ordered]) -> list[Order]:
    """The orders in order of time, without those that were cancelled."""
    return [order for order in by_id(rows).values() if not order.cancelled]


def by_id(rows: Iterable[Ordered]) -> dict[str, Order]:
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
                found.setdefault(row.order_id, Order(row.at, row.minor or 0, row.currency, row.minor or 0))
            case "updated" if order is not None and row.minor is not None:
                order.minor, order.currency, order.most = row.minor, row.currency, max(order.most, row.minor)
            case "cancelled" if order is not None:
                order.minor, order.cancelled = 0, True
            case "refunded" if order is not None:
                known = row.minor is not None and row.currency == order.currency
                order.minor -= min(order.minor, row.minor or 0) if known else order.minor
    return found
