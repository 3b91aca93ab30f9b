"""A sample of the lives that `python -m tests.simulation` plays by the hundred thousand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from operators.guards import Rules
from tests.simulation import outages, strangers
from tests.simulation.checks import live
from tests.simulation.world import Accidents

FAILED_ONCE = [8]  # seeds that found something; kept for ever
STRANGERS_FAILED_ONCE = [
    500131,  # a wait that ended at the very moment of the claim
    500321,  # a consent that was read before what she did earlier by another partition
    505945,  # forwarded records that a known shard put back read before the claim
    559213,  # an event that was merged, and forwarded by an anonymous shard put back
]
A_GAP_APART = Accidents(worker=0.03, put_back=0.4, trouble=0)
"""With a provider that takes all: whether a message that it does not take counts for the gap is a matter of chance."""
OFTEN_PUT_BACK = Accidents(worker=0.05, put_back=0.6)
STRANGERS_FAILED_WHEN_OFTEN_PUT_BACK = [
    1667,  # the result of an attempt that an anonymous shard put back did not repeat
    20928,  # records forwarded before a merge that was never written
]

OUTAGES_FAILED_ONCE = [8, 14]  # what had been accepted was decided anew, by a shard put back, as having expired


def test_no_decision_is_lost_doubled_or_invented_whatever_dies() -> None:
    hits: Counter[str] = Counter()
    for seed in range(300):
        hits += live(seed).accidents.hit
    assert hits["worker"] > 300
    assert hits["put_back"] > 50
    assert hits["courier"] > 10


def test_a_gap_between_messages_is_kept_and_put_off_ones_come_whatever_dies() -> None:
    hits: Counter[str] = Counter()
    for seed in range(100):
        hits += live(seed, replace(A_GAP_APART, hit=Counter()), Rules(min_gap=2_000)).accidents.hit
    assert hits["put_back"] > 50


def test_what_she_did_while_a_worker_was_away_counts_before_anything_is_tried_again() -> None:
    hits: Counter[str] = Counter()
    for seed in range(120, 270):
        hits += live(seed, Accidents(worker=0.03, absence=0.5, trouble=0.6)).accidents.hit
    assert hits["absence"] > 50


def test_without_accidents_every_message_is_accepted_exactly_once() -> None:
    for seed in range(20):
        world = live(seed, Accidents(0, 0, 0, 0))
        assert set(world.courier.accepted.values()) <= {1}


@pytest.mark.parametrize("seed", FAILED_ONCE)
def test_what_failed_once_holds(seed: int) -> None:
    live(seed)


def test_what_waits_through_an_outage_of_hours_comes_once_while_it_is_of_use_whatever_dies() -> None:
    hits: Counter[str] = Counter()
    for seed in range(40):
        hits += outages.live(seed).accidents.hit
    assert hits["worker"] > 300
    assert hits["put_back"] > 100
    assert hits["in_vain"] > 300
    assert hits["expired"] > 20


def test_without_accidents_every_message_of_an_outage_of_hours_is_accepted_once_or_expires() -> None:
    for seed in range(10):
        world = outages.live(seed, Accidents(0, 0, 0, 0))
        assert set(world.courier.accepted.values()) <= {1}


@pytest.mark.parametrize("seed", OUTAGES_FAILED_ONCE)
def test_what_failed_in_an_outage_once_holds(seed: int) -> None:
    outages.live(seed)


def test_who_was_anonymous_is_told_what_she_would_have_been_told_as_known_whatever_dies() -> None:
    hits: Counter[str] = Counter()
    for seed in range(200):
        hits += strangers.live(seed).accidents.hit
    assert hits["worker"] > 200
    assert hits["put_back"] > 30


def test_without_accidents_strangers_are_told_everything_exactly_once() -> None:
    for seed in range(20):
        world = strangers.live(seed, Accidents(0, 0, 0, 0))
        assert set(world.courier.accepted.values()) <= {1}


@pytest.mark.parametrize("seed", STRANGERS_FAILED_ONCE)
def test_what_failed_strangers_once_holds(seed: int) -> None:
    strangers.live(seed)


@pytest.mark.parametrize("seed", STRANGERS_FAILED_WHEN_OFTEN_PUT_BACK)
def test_what_failed_strangers_once_holds_where_shards_are_put_back_all_the_time(seed: int) -> None:
    strangers.live(seed, replace(OFTEN_PUT_BACK, hit=Counter()))
