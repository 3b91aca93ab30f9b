"""Nothing is wrong with this one."""

# expected: nothing

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operators.flow import Flow, Template, at, days, hours, on, send, split, wait, wait_for, wait_until, when
from state.carts import CartChanged, CartEvent, CartOrdered
from state.customer import Customer
from state.events import Event, OrderCompleted


def of_cart(cart: CartChanged, _: Customer) -> Mapping[str, Any]:
    return {"cart": cart.cart_id}


def of_order(order: OrderCompleted, _: Customer) -> Mapping[str, Any]:
    return {"order": order.order_id}


def of_anything(_: Event, customer: Customer) -> Mapping[str, Any]:
    return {"first_name": customer.first_name}


def big_order(order: OrderCompleted, _: Customer) -> bool:
    return len(order.products) > 3


def big_cart(cart: CartChanged, _: Customer) -> bool:
    return len(cart.lines) > 3


def anything(_: Event, customer: Customer) -> bool:
    return customer.orders > 0


def next_week(cart: CartChanged, _: Customer) -> int:
    return cart.at + 7 * 86_400_000


def never(event: Event, _: Customer) -> int:
    return event.at


cart_reminder = Template("cart_reminder", of_cart)
order_thanks = Template("order_thanks", of_order)
cart_text = Template("cart_text", of_cart, channel="sms")
greeting = Template("greeting", of_anything, channel="push")


flow = Flow(
    "carts",
    enter=on(CartChanged),
    per=CartEvent,
    leave=[on(CartOrdered)],
    steps=[
        wait("hour", hours(1)),
        split(
            when(big_cart, send(cart_reminder)), when(anything, send(cart_reminder)), otherwise=[send(cart_reminder)]
        ),
        wait_for("order", on(OrderCompleted), within=days(1), or_else=[send(cart_reminder)]),
        wait_until("morning", at(9)),
        wait_until("next_week", next_week, at_most=days(8)),
        wait_until("never", never, at_most=days(1)),
        send(cart_reminder),
        send(cart_text, otherwise=cart_reminder),
        send(cart_text, otherwise=[greeting, cart_reminder]),
    ],
)
