"""How much of the mail each arm gets, and what learning may cost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random

import numpy as np
import pytest

from operators.bandits.contexts import Learner, Try, every_context
from operators.bandits.evidence import Evidence
from operators.bandits.learning import Learning, Rails, epsilon_greedy, thompson
from operators.bandits.shares import regret, shares
from operators.faults import FlowError

HOUR, DAY = 3_600_000, 86_400_000
NO_RAILS = Rails(floor=0)


def known(tries: int, rewards: int) -> Evidence:
    return Evidence(tries, rewards, tries)


def test_who_knows_nothing_gives_all_arms_the_same() -> None:
    assert shares({"a": Evidence(), "b": Evidence()}, thompson()).by_arm == {"a": 0.5, "b": 0.5}


def test_an_arms_share_is_the_probability_that_it_is_the_best() -> None:
    arms = {"a": known(100, 10), "b": known(100, 16), "c": known(20, 2)}
    chance = np.random.default_rng(1)
    drawn = np.stack([chance.beta(1 + arm.rewards, 1 + arm.failures, 400_000) for arm in arms.values()])
    best = np.bincount(drawn.argmax(axis=0), minlength=3) / 400_000
    told = shares(arms, thompson(rails=NO_RAILS)).by_arm
    assert list(told.values()) == pytest.approx(best.tolist(), abs=0.003)


@pytest.mark.parametrize("learning", [thompson(), epsilon_greedy(), thompson(rails=Rails(floor=0.3))])
def test_shares_add_up_and_nobody_is_below_the_floor(learning: Learning) -> None:
    chance = Random(2)
    for _ in range(50):
        tries = [chance.randrange(5000) for _ in range(3)]
        told = shares({str(n): known(each, chance.randrange(each + 1)) for n, each in enumerate(tries)}, learning)
        assert sum(told.by_arm.values()) == pytest.approx(1, abs=1e-9)
        assert min(told.by_arm.values()) >= min(learning.rails.floor, 1 / 3) - 1e-6


def test_epsilon_greedy_gives_the_best_all_but_what_explores() -> None:
    told = shares({"a": known(100, 50), "b": known(100, 40)}, epsilon_greedy(0.2, rails=NO_RAILS)).by_arm
    assert told == pytest.approx({"a": 0.9, "b": 0.1})


@pytest.mark.parametrize("kind", [thompson, epsilon_greedy])
def test_one_arm_goes_on_even_where_the_rails_would_stop_all(kind: Callable[..., Learning]) -> None:
    told = shares({name: known(300, 30) for name in "abc"}, kind(rails=Rails(stop_below=0.9)))
    assert (told.stopped, told.by_arm) == (("a", "b"), {"a": 0.0, "b": 0.0, "c": 1.0})


def test_an_arm_that_is_almost_certainly_worse_is_stopped_once_it_was_tried_enough() -> None:
    stops = thompson(rails=Rails(stop_below=0.01, tries_min=500))
    assert shares({"a": known(400, 80), "b": known(400, 8)}, stops).stopped == ()
    told = shares({"a": known(600, 120), "b": known(600, 12)}, stops)
    assert told.stopped == ("b",)
    assert told.by_arm == {"a": 1.0, "b": 0.0}


def test_when_exploring_has_cost_what_it_may_the_best_arm_gets_all() -> None:
    bounded = thompson(rails=Rails(regret_max=50))
    early, late = {"a": known(100, 20), "b": known(100, 10)}, {"a": known(900, 180), "b": known(600, 60)}
    assert shares(early, bounded).state == "learning"
    told = shares(late, bounded)
    assert told.state == "settled"
    assert told.by_arm == {"a": 1.0, "b": 0.0}
    assert told.regret == pytest.approx(regret(late))


def test_answers_that_come_late_do_not_make_an_arm_look_bad_at_first() -> None:
    learning = thompson(within=timedelta(days=3), half_answered=timedelta(hours=6), half_forgotten=timedelta(days=365))
    chance, evidence, naive = Random(3), Evidence(), Evidence()
    now, rate = 4 * HOUR, 0.3
    for _ in range(20_000):
        at = chance.randrange(now)
        delay = chance.expovariate(0.6931 / (6 * HOUR))
        rewarded = chance.random() < rate and at + delay <= now
        evidence.add(learning, now, at, rewarded)
        naive += Evidence(1, rewarded, 1)
    assert evidence.mean == pytest.approx(rate, abs=0.02)
    assert naive.mean < 0.1


def test_what_was_long_ago_counts_less() -> None:
    learning = thompson(half_forgotten=timedelta(days=10))
    old, fresh = Evidence(), Evidence()
    old.add(learning, 20 * DAY, 0, rewarded=True)
    fresh.add(learning, 20 * DAY, 16 * DAY, rewarded=True)
    assert old.rewards == pytest.approx(0.25)
    assert fresh.rewards > 0.7


def test_a_shop_whose_favourite_changes_is_followed() -> None:
    learning = thompson(half_forgotten=timedelta(days=5))
    learner = Learner(("a", "b"), (), learning, now=60 * DAY)
    for day in range(60):
        for n in range(100):
            for arm, good in (("a", day < 40), ("b", day >= 40)):
                learner.learn(Try(arm, "", day * DAY, n % 10 < (3 if good else 1)))
    assert learner.table()[""].by_arm["b"] > 0.9


def test_what_is_best_for_some_is_not_for_others() -> None:
    learner = Learner(("short", "long"), ("is_new", "likes_shoes"), thompson(), now=4 * DAY)
    chance = Random(4)
    for n in range(8_000):
        context = chance.choice(every_context(("is_new", "likes_shoes")))
        arm = chance.choice(("short", "long"))
        rate = 0.2 if ("is_new" in context) == (arm == "short") else 0.1
        learner.learn(Try(arm, context, n, chance.random() < rate))
    table = {context: told.by_arm["short"] for context, told in learner.table().items()}
    assert set(table) == {"", "is_new", "likes_shoes", "is_new likes_shoes"}
    assert table["is_new"] > 0.9
    assert table["is_new likes_shoes"] > 0.9
    assert table[""] < 0.1


def test_a_rare_context_begins_with_what_is_known_from_others() -> None:
    """Customers who are new *and* like shoes were never seen; those who are new were."""
    learner = Learner(("short", "long"), ("is_new", "likes_shoes"), thompson(), now=4 * DAY)
    chance = Random(5)
    for n in range(6_000):
        context, arm = chance.choice(("", "is_new", "likes_shoes")), chance.choice(("short", "long"))
        good = arm == "short"
        learner.learn(Try(arm, context, n, chance.random() < (0.5 if good else 0.1)))
    assert learner.table()["is_new likes_shoes"].by_arm["short"] > 0.9


def test_arms_and_contexts_that_are_gone_teach_nothing() -> None:
    learner = Learner(("a", "b"), (), thompson(), now=DAY)
    learner.learn(Try("gone", "", 0, True))
    learner.learn(Try("a", "was_new", 0, True))
    assert learner.totals() == {"a": Evidence(), "b": Evidence()}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Rails(floor=0.7),
        lambda: Rails(stop_below=1),
        lambda: Rails(regret_max=0),
        lambda: epsilon_greedy(0),
        lambda: thompson(within=timedelta(0)),
    ],
)
def test_rails_that_make_no_sense_are_refused(wrong: object) -> None:
    with pytest.raises(FlowError):
        wrong()  # type: ignore[operator]


def test_a_bandit_loses_far_fewer_rewards_than_chance() -> None:
    rates = {"a": 0.10, "b": 0.12, "c": 0.20}
    learning, chance, tries = thompson(), Random(6), list[Try]()
    lost, by_chance = 0.0, 6_000 * (0.2 - sum(rates.values()) / 3)
    for epoch in range(60):
        learner = Learner(tuple(rates), (), learning, now=epoch * HOUR + 3 * DAY)
        for one in tries:
            learner.learn(one)
        table = learner.table()[""].by_arm
        for arm in chance.choices(list(table), list(table.values()), k=100):
            tries.append(Try(arm, "", epoch * HOUR, chance.random() < rates[arm]))
            lost += 0.2 - rates[arm]
    assert lost < 0.3 * by_chance
