"""A condition on orders, where customers enter with a cart."""

# expected: [arg-type] Argument 1 to "when" has incompatible type "Callable[[OrderCompleted, Customer], bool]"

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operators.flow import Flow, Template, hours, on, send, split, wait, when
from state.carts import CartChanged
from state.customer import Customer
from state.events import Event, OrderCompleted


def of_cart(cart: CartChanged, _: Customer) -> Mapping[str, Any]:
    return {"cart": cart.cart_id}


def of_order(order: OrderCompleted, _: Customer) -> Mapping[str, Any]:
    return {"order": order.order_id}


def big_order(order: OrderCompleted, _: Customer) -> bool:
    return len(order.products) > 3


def big_cart(cart: CartChanged, _: Customer) -> bool:
    return len(cart.lines) > 3


def anything(_: Event, customer: Customer) -> bool:
    return customer.orders > 0


cart_reminder = Template("cart_reminder", of_cart)
order_thanks = Template("order_thanks", of_order)


flow = Flow(
    "carts",
    enter=on(CartChanged),
    steps=[wait("hour", hours(1)), split(when(big_order, send(cart_reminder)))],  # wrong
)
