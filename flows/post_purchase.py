"""Thank those who bought, ask what they think of it, and show them what else there is."""

from __future__ import annotations

from flows import messages
from operators.flow import Flow, days, on, send, wait
from state.customer import Customer
from state.events import OrderCancelled, OrderCompleted, OrderEvent, OrderRefunded


def stands(order: OrderCompleted, customer: Customer) -> bool:
    """Not cancelled or refunded, which may be told before the order is."""
    return not customer.undid(order.order_id, since=order.at)


post_purchase = Flow(
    "post_purchase",
    enter=on(OrderCompleted, where=stands),
    per=OrderEvent,
    leave=[on(OrderCancelled), on(OrderRefunded)],
    steps=[
        send(messages.order_thanks),
        wait("trying_it_out", days(14)),
        send(messages.review_request),
        wait("getting_used_to_it", days(16)),
        send(messages.cross_sell),
    ],
)
