"""A wait until a moment that only an order can tell, in a flow about carts."""

# expected: [arg-type] Argument 2 to "wait_until" has incompatible type

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operators.flow import Flow, Template, days, on, send, wait_until
from state.carts import CartChanged
from state.customer import Customer
from state.events import OrderCompleted


def of_cart(cart: CartChanged, _: Customer) -> Mapping[str, Any]:
    return {"cart": cart.cart_id}


def delivered(order: OrderCompleted, _: Customer) -> int:
    return order.at + 86_400_000


cart_reminder = Template("cart_reminder", of_cart)


flow = Flow(
    "carts",
    enter=on(CartChanged),
    steps=[wait_until("delivered", delivered, at_most=days(3)), send(cart_reminder)],  # wrong
)
