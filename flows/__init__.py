"""The flows that ship.  A deployment with flows of its own names their module in `flows = "…"`."""

from __future__ import annotations

from typing import Any

from flows.abandoned_cart import abandoned_cart
from flows.back_in_stock import back_in_stock
from flows.browse_abandonment import browse_abandonment
from flows.post_purchase import post_purchase
from flows.price_drop import price_drop
from flows.replenishment import replenishment
from flows.welcome import welcome
from flows.win_back import win_back
from flows.windows import visit
from operators.flow import Flow
from operators.windows import Window

FLOWS: list[Flow[Any]] = [
    abandoned_cart,
    welcome,
    back_in_stock,
    price_drop,
    browse_abandonment,
    post_purchase,
    replenishment,
    win_back,
]
WINDOWS: list[Window] = [visit]
