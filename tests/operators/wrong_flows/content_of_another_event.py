"""Steps taken in time or too late are checked alike."""

# expected: [arg-type] "Template[OrderCompleted]"; expected "Template[CartChanged]"

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operators.flow import Flow, Template, days, on, send, wait_for
from state.carts import CartChanged, CartOrdered
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
    steps=[
        wait_for("order", on(CartOrdered), within=days(1), or_else=[send(order_thanks)]),  # wrong
        send(cart_reminder),
    ],
)
