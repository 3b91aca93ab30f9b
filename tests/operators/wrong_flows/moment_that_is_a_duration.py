"""A wait until a moment that is none, but a number of seconds."""

# expected: [arg-type] expected "Callable[[CartChanged, Customer], int]"

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operators.flow import Flow, Template, days, on, send, wait_until
from state.carts import CartChanged
from state.customer import Customer


def of_cart(cart: CartChanged, _: Customer) -> Mapping[str, Any]:
    return {"cart": cart.cart_id}


def a_week(cart: CartChanged, _: Customer) -> float:
    return 7 * 86_400.0


cart_reminder = Template("cart_reminder", of_cart)


flow = Flow(
    "carts",
    enter=on(CartChanged),
    steps=[wait_until("a_week", a_week, at_most=days(8)), send(cart_reminder)],  # wrong
)
