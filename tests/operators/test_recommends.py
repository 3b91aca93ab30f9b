"""A template that shows recommendations says so, and its message tells the courier what she did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from operators.flow import Flow, FlowError, Template, hours, on, recommend, send
from operators.recommender.histories import history_of
from operators.simulate import simulate
from state.carts import Cart, Line
from state.customer import Customer
from state.events import OrderCompleted
from state.products import Interest


def nothing(_: OrderCompleted, __: Customer) -> Mapping[str, Any]:
    return {}


@pytest.mark.parametrize(
    ("asked", "fact"),
    [
        (lambda: recommend("magic", 4), "no such block"),  # type: ignore[arg-type]
        (lambda: recommend("similar", 4), "no such block"),
        (lambda: recommend("discover", 0), "1 to"),
        (lambda: recommend("discover", 1000), "1 to"),
        (lambda: recommend("discover", 2, at_least=3), "no more than it shows"),
    ],
)
def test_a_template_that_asks_for_what_cannot_be_is_refused_at_import(asked: Any, fact: str) -> None:
    with pytest.raises(FlowError, match=fact):
        asked()


def test_recommending_is_no_condition_for_deciding() -> None:
    more = Template("more", nothing, kind="transactional", recommends=recommend("discover", 4))
    flow = Flow("thanks", enter=on(OrderCompleted), steps=[send(more)])
    [sent] = simulate(flow).at(hours(0), OrderCompleted(order_id="o1")).play_out()
    assert sent.outcome == "send"


def test_what_she_did_is_told_without_her_name() -> None:
    anna = Customer(id="anna")
    anna.interests = {"hat": Interest(viewed_at=1), "shoes": Interest(viewed_at=2, in_cart_at=3)}
    anna.carts = {
        "k1": Cart("k1", 3, lines=[Line("shoes", 1, 3)]),
        "k2": Cart("k2", 1, lines=[Line("socks", 1, 1)], ordered_at=2),
    }
    anna.bought = {"socks": [2]}
    history = history_of(anna)
    assert history.bought == {"socks": [2]}
    assert history.touched == {"hat": 1, "shoes": 3}
    assert history.carted == history.in_cart == frozenset({"shoes"})
