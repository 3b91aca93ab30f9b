"""A wait until a moment that may never come."""

# expected: [call-overload] No overload variant of "wait_until" matches

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operators.flow import Flow, Template, on, send, wait_until
from state.carts import CartChanged
from state.customer import Customer


def of_cart(cart: CartChanged, _: Customer) -> Mapping[str, Any]:
    return {"cart": cart.cart_id}


def next_week(cart: CartChanged, _: Customer) -> int:
    return cart.at + 7 * 86_400_000


cart_reminder = Template("cart_reminder", of_cart)


flow = Flow(
    "carts",
    enter=on(CartChanged),
    steps=[wait_until("next_week", next_week), send(cart_reminder)],  # wrong
)
