"""Whatever visitors do, the engine decides what the oracle decides; and what arrives in disorder changes little."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.flows.histories import PLAY_OUT, Stage, additions_and_orders, in_order, one_hour, stage
from tests.flows.oracle import DAY, HOUR, expected, instant

Json = dict[str, Any]
FLOWS = ("abandoned_cart", "welcome")
AFTER = {"cart_reminder": HOUR, "cart_reminder_2": DAY, "cart_offer": DAY, "cart_last_call": 3 * DAY}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("stage"), *FLOWS) as open_stage:
        yield open_stage


@given(history=in_order(), looks=st.sets(st.integers(1, 30)))
def test_the_engine_decides_what_the_oracle_decides(shop: Stage, history: list[Json], looks: set[int]) -> None:
    assert shop.play(history, sorted(looks)) == expected(history, PLAY_OUT, flows=FLOWS)


@given(history=one_hour(), chance=st.randoms(use_true_random=False))
def test_what_comes_in_any_order_within_the_hour_is_decided_alike(
    shop: Stage, history: list[Json], chance: Random
) -> None:
    shuffled = chance.sample(history, len(history))
    assert shop.play(shuffled) == expected(history, PLAY_OUT, flows=FLOWS)


@given(history=additions_and_orders(), chance=st.randoms(use_true_random=False), looks=st.sets(st.integers(1, 12)))
def test_in_whatever_order_things_come_who_fills_a_cart_last_is_reminded_of_it(
    shop: Stage, history: list[Json], chance: Random, looks: set[int]
) -> None:
    decided = shop.play(chance.sample(history, len(history)), sorted(looks))
    assert len({(told.message, told.at) for told in decided}) == len(decided)
    last = instant(history[-1]["timestamp"])
    if history[-1]["event"] == "Product Added":
        assert {last + HOUR, last + DAY, last + 3 * DAY} <= {told.at for told in decided}


@given(history=additions_and_orders(), chance=st.randoms(use_true_random=False))
def test_an_order_that_comes_late_still_cancels(shop: Stage, history: list[Json], chance: Random) -> None:
    decided = shop.play(chance.sample(history, len(history)))
    filled = {instant(event["timestamp"]) for event in history if event["event"] == "Product Added"}
    bought = [instant(event["timestamp"]) for event in history if event["event"] == "Order Completed"]
    for told in decided:
        since = told.at - AFTER[told.message]
        assert since in filled
        assert not [at for at in bought if since <= at <= told.at]


@given(history=in_order(), again=st.lists(st.integers(0, 29), max_size=10))
def test_what_is_told_twice_counts_once(shop: Stage, history: list[Json], again: list[int]) -> None:
    assert shop.play([*history, *(history[n % len(history)] for n in again)]) == shop.play(history)
