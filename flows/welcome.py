"""Welcome those who agreed to hear from the shop, and show them around when they have not bought yet."""

from __future__ import annotations

from flows import messages
from operators.flow import Flow, days, on, send, split, wait, when
from state.customer import Customer
from state.events import ConsentGranted


def first_word_for_marketing_mail(granted: ConsentGranted, customer: Customer) -> bool:
    if (granted.channel, granted.topic) != ("email", "marketing"):
        return False
    consent = customer.consent("email", "marketing")
    return consent is not None and consent.grants == 1


def has_not_ordered_since(granted: ConsentGranted, customer: Customer) -> bool:
    return customer.last_order_at < granted.at


welcome = Flow(
    "welcome",
    enter=on(ConsentGranted, where=first_word_for_marketing_mail),
    steps=[
        send(messages.welcome),
        wait("looking_around", days(3)),
        split(when(has_not_ordered_since, send(messages.welcome_picks))),
    ],
)
