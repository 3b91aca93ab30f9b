"""What orders leave behind in a customer's memory, kept only where a flow asks for it.

The same for any order of the same events, but for what is forgotten first.  An order told twice, under one order id,
is one order.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from itertools import pairwise

from operators.recommender.shown import came_to
from state import events as ev
from state.customer import Customer
from state.events import Event, OrderLine
from state.ids import Ids
from state.orders import BOUGHT_MAX, ORDERS_MAX, TIMES_MAX, Order, ProductOrdered


def completed(customer: Customer, event: ev.OrderCompleted, _: Ids) -> tuple[Event, ...]:
    if event.order_id:
        order = _told_of(customer, event)
        if order.completed_at:
            return ()
        order.completed_at = event.at
    lines = {line.product_id: line for line in event.products}
    return tuple(_bought(customer, event, line) for line in lines.values())


def undone(customer: Customer, event: ev.OrderEvent, _: Ids) -> tuple[Event, ...]:
    if event.order_id:
        order = _told_of(customer, event)
        order.undone_at = max(order.undone_at, event.at)
    return ()


def median_interval(times: Sequence[int]) -> int:
    """The median of the intervals between these moments, 0 where there are none."""
    intervals = sorted(later - earlier for earlier, later in pairwise(times))
    middle = intervals[(len(intervals) - 1) // 2 : len(intervals) // 2 + 1]
    return sum(middle) // len(middle) if middle else 0


def _told_of(customer: Customer, event: ev.OrderEvent) -> Order:
    orders = customer.orders_by_id
    order = orders.get(event.order_id)
    if order is None:
        order = orders[event.order_id] = Order()
        if len(orders) > ORDERS_MAX:
            del orders[next(iter(orders))]
    return order


def _bought(customer: Customer, event: ev.OrderCompleted, line: OrderLine) -> ProductOrdered:
    bought, product = customer.bought, line.product_id
    if customer.shown:
        came_to(customer.shown, product, event.at)
    times = bought.pop(product, [])
    bought[product] = times  # the one ordered last stands at the end
    if len(bought) > BOUGHT_MAX:
        del bought[next(iter(bought))]
    insort(times, event.at)
    del times[:-TIMES_MAX]
    return ProductOrdered(
        id=event.id,
        customer=event.customer,
        at=times[-1],
        locale=event.locale,
        time_zone=event.time_zone,
        product_id=product,
        name=line.name,
        price=line.price,
        quantity=line.quantity,
        category=line.category,
        url=line.url,
        image_url=line.image_url,
        cart_id=event.cart_id,
        orders=len(times),
        interval=median_interval(times),
        order_id=event.order_id,
    )
