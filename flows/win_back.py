"""Ask those back who bought once and did not come again."""

from __future__ import annotations

from flows import messages
from operators.flow import Flow, days, on, send, wait
from state.customer import Customer
from state.events import OrderCompleted


def her_latest_order(order: OrderCompleted, customer: Customer) -> bool:
    """Not one that is told late, after she ordered again."""
    return order.at >= customer.last_order_at


win_back = Flow(
    "win_back",
    enter=on(OrderCompleted, where=her_latest_order),
    restart=True,
    steps=[
        wait("out_of_sight", days(60)),
        send(messages.win_back),
        wait("still_away", days(30)),
        send(messages.win_back_offer),
    ],
)
