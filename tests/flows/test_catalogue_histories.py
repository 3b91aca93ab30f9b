"""Whatever the catalogue tells, those hear of it who the oracle says wait for it, each in her turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.waiting import SPREAD
from operators.flow import milliseconds
from tests.flows import histories
from tests.flows.histories import STEP, Stage, stage, stamped, track
from tests.flows.oracle import DAY, NEWS, Expected, expected
from tests.operators.shards import START

Json = dict[str, Any]
EXAMPLES = 60 if settings().max_examples <= 200 else settings().max_examples
PLAY_OUT = 5 * DAY

products = st.sampled_from(["p1", "p1", "p1", "p2"])
prices = st.sampled_from(["90", "94.99", "95", "96", "99.99", "100", "100", "0"])
currencies = st.sampled_from([None, None, None, None, None, "EUR"])
viewed = st.builds(
    lambda product, price, currency: track("Product Viewed", product_id=product, price=price, currency=currency),
    products,
    prices,
    currencies,
)
carted = st.builds(
    lambda name, product: track(name, product_id=product, price="100"),
    st.sampled_from(["Product Added", "Product Removed"]),
    products,
)
ordered = st.builds(lambda product: track("Order Completed", products=[{"product_id": product}]), products)
changed = st.builds(
    lambda product, price, currency, availability: track(
        "Product Changed", product_id=product, price=price, currency=currency, availability=availability
    ),
    products,
    st.one_of(st.none(), prices),
    currencies,
    st.sampled_from([None, None, True, True, False, "in stock", "out of stock"]),
)
happenings = st.one_of(viewed, viewed, viewed, carted, changed, changed, changed, ordered, histories.words)
pauses = st.sampled_from([0, 0, 0, 1, 2, 48, 48 * 7, 48 * 29, 48 * 30, 48 * 30 + 1])


@st.composite
def seasons(draw: st.DrawFn) -> list[Json]:
    """Two customers and two products over weeks; some things are told twice.

    What the catalogue tells comes first of what happens at one moment: nothing else orders two topics, and of what is
    held it does, too.
    """
    history = [
        stamped(histories.identify("anna@example.com"), "anna", START, 0),
        stamped(track("Consent Granted", channel="email", topic="marketing"), "anna", START, 1),
    ]
    at = START
    for n in range(2, draw(st.integers(8, 40))):
        at += draw(pauses) * STEP
        event = stamped(draw(happenings), draw(st.sampled_from(["anna", "anna", "anna", "berta"])), at, n)
        if event.get("event") == "Product Changed":
            del event["userId"]
        history.append(event)
    history.sort(key=lambda event: (event["timestamp"], event.get("event") != "Product Changed"))
    for again in draw(st.lists(st.integers(0, len(history) - 1), max_size=3)):
        history.insert(draw(st.integers(again + 1, len(history))), history[again])
    return history


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("stage"), *NEWS) as open_stage:
        yield open_stage


@settings(max_examples=EXAMPLES)
@given(history=seasons(), looks=st.sets(st.integers(1, 30)))
def test_news_are_decided_as_the_oracle_does(shop: Stage, history: list[Json], looks: set[int]) -> None:
    told = shop.play(history, sorted(looks), PLAY_OUT)
    assert sorted(map(at_the_change, told)) == expected(history, PLAY_OUT, flows=NEWS)


def at_the_change(told: Expected) -> Expected:
    """Nothing happens off the grid, so that the turn within the minutes after a change changes nothing else."""
    turn = (told.at - START) % STEP
    assert turn < milliseconds(SPREAD)
    return told._replace(at=told.at - turn)
