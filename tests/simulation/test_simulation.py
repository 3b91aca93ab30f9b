"""A sample of the lives that `python -m tests.simulation` plays by the hundred thousand."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.checks import live
from tests.simulation.world import Accidents

FAILED_ONCE = [8]  # seeds that found something; kept for ever


def test_no_decision_is_lost_doubled_or_invented_whatever_dies() -> None:
    hits: Counter[str] = Counter()
    for seed in range(300):
        hits += live(seed).accidents.hit
    assert hits["worker"] > 300
    assert hits["put_back"] > 50
    assert hits["courier"] > 10


def test_without_accidents_every_message_is_accepted_exactly_once() -> None:
    for seed in range(20):
        world = live(seed, Accidents(0, 0, 0, 0))
        assert set(world.courier.accepted.values()) <= {1}


@pytest.mark.parametrize("seed", FAILED_ONCE)
def test_what_failed_once_holds(seed: int) -> None:
    live(seed)
