"""Whatever customers do, in whatever order it is told, the flows decide what the oracle decides."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.flows import histories
from tests.flows.histories import STEP, Stage, stage, stamped, track
from tests.flows.oracle import DAY, HOUR, expected, instant
from tests.operators.shards import START

Json = dict[str, Any]
EXAMPLES = 60 if settings().max_examples <= 200 else settings().max_examples
PLAY_OUT = 100 * DAY


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("stage")) as open_stage:
        yield open_stage


viewed = st.builds(lambda product: track("Product Viewed", product_id=product), histories.products)
browsing = st.one_of(viewed, viewed, viewed, viewed, histories.added, histories.removed, histories.ordered)
pauses = st.sampled_from([0, 1, 2, 3, 3, 4, 4, 5, 47, 160, 332, 336])  # of half an hour: two hours, a week


@st.composite
def visits(draw: st.DrawFn) -> list[Json]:
    """Two customers who mostly look around, one of whom agreed to hear from the shop, some things told twice."""
    history = [
        stamped(histories.identify("anna@example.com"), "anna", START, 0),
        stamped(track("Consent Granted", channel="email", topic="marketing"), "anna", START, 1),
    ]
    at = START
    for n in range(2, draw(st.integers(3, 24))):
        at += draw(pauses) * STEP
        happening = draw(st.one_of(browsing, browsing, browsing, histories.words))
        history.append(stamped(happening, draw(st.sampled_from(["anna", "anna", "berta"])), at, n))
    for again in draw(st.lists(st.integers(0, len(history) - 1), max_size=3)):
        history.insert(draw(st.integers(again + 1, len(history))), history[again])
    return history


@settings(max_examples=EXAMPLES)
@given(history=visits(), looks=st.sets(st.integers(1, 24)))
def test_visits_are_decided_as_the_oracle_does(shop: Stage, history: list[Json], looks: set[int]) -> None:
    assert shop.play(history, sorted(looks), PLAY_OUT) == expected(history, PLAY_OUT)


@st.composite
def one_visit(draw: st.DrawFn) -> list[Json]:
    """Within an hour, each at a time of its own; then another an hour later and a week after."""
    minutes = draw(st.lists(st.integers(0, 59), min_size=1, max_size=8, unique=True))
    return [
        stamped(
            draw(st.one_of(viewed, viewed, st.builds(histories.added_product, histories.products))),
            "anna",
            START + minute * 60_000,
            n,
        )
        for n, minute in enumerate(sorted(minutes))
    ]


@settings(max_examples=EXAMPLES)
@given(history=one_visit(), later=one_visit(), chance=st.randoms(use_true_random=False))
def test_what_comes_in_any_order_within_the_hour_is_decided_alike(
    shop: Stage, history: list[Json], later: list[Json], chance: Random
) -> None:
    words = [
        stamped(histories.identify("anna@example.com"), "anna", START, 90),
        stamped(track("Consent Granted", channel="email", topic="marketing"), "anna", START, 91),
    ]
    shuffled = [*words, *chance.sample(history, len(history))]
    assert shop.play(shuffled, play_out=HOUR * 300) == expected([*words, *history], HOUR * 300)


regular = st.builds(
    lambda order, bought: track("Order Completed", order_id=order, products=[{"product_id": each} for each in bought]),
    st.one_of(st.just(""), st.integers(1, 12).map(str)),
    st.lists(st.sampled_from(["coffee", "filters"]), min_size=1, max_size=3),
)
intervals = st.sampled_from([0, 1, 48, 3 * 48, 3 * 48 + 1, 6 * 48, 7 * 48, 10 * 48, 14 * 48, 30 * 48])


@st.composite
def years(draw: st.DrawFn) -> list[Json]:
    """Two customers who order now and then, mostly the same; some orders are cancelled, some told twice."""
    history = [
        stamped(histories.identify("anna@example.com"), "anna", START, 0),
        stamped(track("Consent Granted", channel="email", topic="marketing"), "anna", START, 1),
    ]
    at = START
    for n in range(2, draw(st.integers(5, 24))):
        at += draw(intervals) * STEP
        happening = draw(st.one_of(regular, regular, regular, regular, histories.undone, histories.words))
        history.append(stamped(happening, draw(st.sampled_from(["anna", "anna", "anna", "berta"])), at, n))
    for again in draw(st.lists(st.integers(0, len(history) - 1), max_size=3)):
        history.insert(draw(st.integers(again + 1, len(history))), history[again])
    return history


@settings(max_examples=EXAMPLES)
@given(history=years(), looks=st.sets(st.integers(1, 24)))
def test_orders_are_decided_as_the_oracle_does(shop: Stage, history: list[Json], looks: set[int]) -> None:
    assert shop.play(history, sorted(looks), PLAY_OUT) == expected(history, PLAY_OUT)


@st.composite
def rhythms(draw: st.DrawFn) -> list[Json]:
    """Orders of a few products over months, each at a time of its own."""
    days = draw(st.lists(st.integers(0, 120), min_size=3, max_size=10, unique=True))
    return [
        stamped(
            track("Order Completed", order_id=f"o{n}", products=[{"product_id": draw(histories.products)}]),
            "anna",
            START + day * DAY,
            n,
        )
        for n, day in enumerate(sorted(days))
    ]


@settings(max_examples=EXAMPLES)
@given(history=rhythms(), chance=st.randoms(use_true_random=False))
def test_an_old_shop_s_orders_told_in_any_order_show_the_same_rhythm(
    shop: Stage, history: list[Json], chance: Random
) -> None:
    """All are told before the clock moves; what would have been due before the last of them, it is too late for."""
    last = max(instant(event["timestamp"]) for event in history)
    wanted = [told for told in expected(history, PLAY_OUT, flows=["replenishment"]) if told.at > last]
    found = shop.play(chance.sample(history, len(history)), play_out=PLAY_OUT)
    assert [told for told in found if told.flow == "replenishment" and told.at > last] == wanted
