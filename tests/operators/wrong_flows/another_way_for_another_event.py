"""A message about orders in place of one about carts, where customers enter with a cart."""

# expected: [arg-type] "Template[OrderCompleted]"; expected "Template[CartChanged] | Sequence

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operators.flow import Flow, Template, hours, on, send, wait
from state.carts import CartChanged
from state.customer import Customer
from state.events import OrderCompleted


def of_cart(cart: CartChanged, _: Customer) -> Mapping[str, Any]:
    return {"cart": cart.cart_id}


def of_order(order: OrderCompleted, _: Customer) -> Mapping[str, Any]:
    return {"order": order.order_id}


cart_text = Template("cart_text", of_cart, channel="sms")
order_thanks = Template("order_thanks", of_order)


flow = Flow(
    "carts",
    enter=on(CartChanged),
    steps=[
        wait("hour", hours(1)),
        send(cart_text, otherwise=order_thanks),  # wrong
    ],
)
