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
from tests.flows.oracle import DAY, HOUR, expected
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
        stamped(draw(st.one_of(viewed, viewed, histories.added)), "anna", START + minute * 60_000, n)
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
