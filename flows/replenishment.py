"""Remind those who order a product again and again, shortly before they will need it."""

from __future__ import annotations

from flows import messages
from operators.flow import Flow, days, milliseconds, on, send, wait_until
from state.customer import Customer
from state.orders import ProductOrdered

AHEAD = days(3)


def has_a_rhythm(ordered: ProductOrdered, _: Customer) -> bool:
    """From the third order on, where the median interval leaves time for a reminder."""
    return ordered.orders >= 3 and ordered.interval > milliseconds(AHEAD)


def running_low(ordered: ProductOrdered, _: Customer) -> int:
    return ordered.at + ordered.interval - milliseconds(AHEAD)


replenishment = Flow(
    "replenishment",
    enter=on(ProductOrdered, where=has_a_rhythm),
    per=ProductOrdered,
    leave=[on(ProductOrdered)],  # each order of the product ends the wait for the next, and may begin one
    steps=[
        wait_until("using_it_up", running_low, at_most=days(400)),
        send(messages.replenish),
    ],
)
