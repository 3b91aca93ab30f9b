"""Come back to what a customer looked at and left without a word."""

from __future__ import annotations

from flows import messages
from flows.windows import QUIET, visit
from operators.flow import Flow, days, leave, milliseconds, on, send, split, wait, when
from state.customer import Customer
from state.events import ProductViewed


def added_to_a_cart_meanwhile(view: ProductViewed, customer: Customer) -> bool:
    """Since the first view of this visit."""
    return customer.last_added_at >= (visit.began(customer, view.at) or view.at)


def ordered_meanwhile(view: ProductViewed, customer: Customer) -> bool:
    """Since the first view of this visit."""
    return customer.last_order_at >= (visit.began(customer, view.at) or view.at)


def heard_of_it_this_week(view: ProductViewed, customer: Customer) -> bool:
    return customer.was_told("browse_reminder", since=view.at + milliseconds(QUIET - days(7)))


browse_abandonment = Flow(
    "browse_abandonment",
    enter=on(ProductViewed),
    restart=True,
    steps=[
        wait("looking_around", QUIET),
        split(
            when(added_to_a_cart_meanwhile, leave),
            when(ordered_meanwhile, leave),
            when(heard_of_it_this_week, leave),
            otherwise=[send(messages.browse_reminder)],
        ),
    ],
)
