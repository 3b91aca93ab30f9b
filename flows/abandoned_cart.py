"""Remind customers of a cart they filled and left."""

from __future__ import annotations

from decimal import Decimal

from flows import messages
from operators.flow import Flow, days, hours, on, send, split, wait, when
from state.carts import CartChanged, CartEmptied, CartEvent, CartOrdered
from state.customer import Customer

WORTH_AN_OFFER = Decimal(100)


def worth_an_offer(cart: CartChanged, _: Customer) -> bool:
    """Whether the cart holds 100.00 or more, in whatever currency."""
    return cart.total.amount >= WORTH_AN_OFFER


abandoned_cart = Flow(
    "abandoned_cart",
    enter=on(CartChanged),
    per=CartEvent,
    restart=True,
    leave=[on(CartOrdered), on(CartEmptied)],
    steps=[
        wait("cooling_off", hours(1)),
        send(messages.cart_reminder),
        wait("thinking_it_over", hours(23)),
        split(
            when(worth_an_offer, send(messages.cart_offer)),
            otherwise=[send(messages.cart_reminder_2)],
        ),
        wait("last_chance", days(2)),
        send(messages.cart_last_call),
    ],
)
