"""What is remembered of a customer's orders, and the facts about single products that follow from them."""

from __future__ import annotations

import msgspec

from state.events import ProductEvent

ORDERS_MAX = 32  # orders told of last
BOUGHT_MAX = 64  # products ordered last
TIMES_MAX = 12  # of each, when it was ordered last


class Order(msgspec.Struct, gc=False, array_like=True):
    """One order by its id: when it was completed, and when it was cancelled or refunded.  Times in ms, 0 for never."""

    completed_at: int = 0
    undone_at: int = 0


class ProductOrdered(ProductEvent, frozen=True, kw_only=True, array_like=True, tag="product_ordered"):
    """A product was ordered: how often so far (at most `TIMES_MAX`), and the median of the intervals between (ms).

    `at` is the time of its latest order.
    """

    orders: int = 1
    interval: int = 0
    order_id: str = ""
