"""Who enters is asked about an order, and brings a cart."""

# expected: [arg-type] Argument "where" to "on" has incompatible type

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operators.flow import Flow, Template, on, send
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


flow = Flow("carts", enter=on(CartChanged, where=big_order), steps=[send(cart_reminder)])  # wrong
