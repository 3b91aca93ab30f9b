"""What is remembered of orders: bounded, alike in any order, and joined where two ids turn out to be one customer."""

from __future__ import annotations

from itertools import permutations

import pytest

from operators import orders
from operators.merging import merge
from operators.program import Program
from state.customer import Customer
from state.events import Event, OrderCancelled, OrderCompleted, OrderLine
from state.ids import Ids
from state.orders import BOUGHT_MAX, ORDERS_MAX, TIMES_MAX, Order

IDS = Ids(b"orders")


def order(at: int, *products: str, order_id: str = "") -> OrderCompleted:
    return OrderCompleted(id=f"e{at}", at=at, order_id=order_id, products=tuple(OrderLine(each) for each in products))


def after(*events: Event, customer: str = "anna") -> Customer:
    known = Customer(id=customer)
    for event in events:
        if isinstance(event, OrderCompleted):
            orders.completed(known, event, IDS)
        elif isinstance(event, OrderCancelled):
            orders.undone(known, event, IDS)
    return known


@pytest.mark.parametrize("told", list(permutations(range(3))))
def test_orders_told_in_any_order_are_remembered_alike(told: tuple[int, ...]) -> None:
    happened: list[Event] = [
        order(10, "tea", order_id="o1"),
        OrderCancelled(id="e11", at=11, order_id="o1"),
        order(30, "tea", order_id="o2"),
    ]
    customer = after(*(happened[n] for n in told))
    assert customer.bought == {"tea": [10, 30]}
    assert customer.orders_by_id == {"o1": Order(10, 11), "o2": Order(30, 0)}


def test_no_more_is_kept_than_anybody_will_ask_about() -> None:
    customer = after(*(order(n, f"p{n}", "tea", order_id=f"o{n}") for n in range(1, 200)))
    assert customer.bought["tea"] == list(range(200 - TIMES_MAX, 200))
    assert len(customer.bought) == BOUGHT_MAX
    assert len(customer.orders_by_id) == ORDERS_MAX
    assert "p199" in customer.bought
    assert "o199" in customer.orders_by_id


def test_who_turns_out_to_be_known_ordered_all_that_both_did() -> None:
    known = after(order(10, "tea", order_id="o1"), order(40, "tea", "milk", order_id="o3"))
    other = after(order(20, "tea", order_id="o2"), OrderCancelled(id="e", at=50, order_id="o3"), customer="somebody")
    merge(known, other, Program([]))
    assert known.bought == {"tea": [10, 20, 40], "milk": [40]}
    assert known.orders_by_id == {"o1": Order(10), "o2": Order(20), "o3": Order(40, 50)}


@pytest.mark.parametrize(
    ("times", "interval"), [([], 0), ([5], 0), ([0, 10], 10), ([0, 10, 30], 15), ([0, 10, 30, 31], 10)]
)
def test_the_median_of_an_even_number_of_intervals_lies_between_the_middle_two(times: list[int], interval: int) -> None:
    assert orders.median_interval(times) == interval
