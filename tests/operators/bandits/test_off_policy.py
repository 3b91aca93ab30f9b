"""What another policy would have earned: estimates that hold the truth, and say when they cannot."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from operators.bandits.off_policy import ESS_MIN, Estimate, Values, doubly_robust, folds, ips, snips

ITEMS, DECISIONS = 20, 3000


def logs(count: int, uneven: float) -> Iterator[tuple[float, dict[str, Estimate]]]:
    """Of logs of made policies, what uniform choices would truly have earned, and what is estimated."""
    for seed in range(count):
        chance = np.random.default_rng(seed)
        shares = chance.dirichlet(np.full(ITEMS, uneven))
        shares = np.maximum(shares, 2e-3) / np.maximum(shares, 2e-3).sum()
        rates = chance.beta(2, 60, ITEMS)
        items = chance.choice(ITEMS, DECISIONS, p=shares)
        rewards: Values = (chance.random(DECISIONS) < rates[items]).astype(float)
        target = np.full(DECISIONS, 1 / ITEMS)
        half, expected, of_target = folds(DECISIONS), np.zeros(DECISIONS), np.zeros(DECISIONS)
        for side in (0, 1):
            seen = half != side
            tries = np.bincount(items[seen], minlength=ITEMS)
            model = (np.bincount(items[seen], rewards[seen], ITEMS) + 3) / (tries + 90)
            expected[half == side], of_target[half == side] = model[items[half == side]], model.mean()
        told = {
            "IPS": ips(rewards, shares[items], target),
            "SNIPS": snips(rewards, shares[items], target),
            "doubly robust": doubly_robust(rewards, shares[items], target, expected, of_target),
        }
        yield float(rates.mean()), told


@pytest.mark.parametrize("uneven", [0.5, 1, 5])
def test_intervals_hold_the_truth_also_where_the_log_is_uneven(uneven: float) -> None:
    held = {"IPS": 0, "SNIPS": 0, "doubly robust": 0}
    for truth, told in logs(200, uneven):
        for name, estimate in told.items():
            held[name] += estimate.low <= truth <= estimate.high
    assert {name: count for name, count in held.items() if count < 186} == {}


@pytest.mark.parametrize("expected", [0.5, 1, 3, 5, 10])
def test_intervals_hold_the_truth_where_rewards_are_few_or_none(expected: float) -> None:
    chance, decisions, runs = np.random.default_rng(3), 1000, 400
    rate, shares, target = expected / decisions, np.array([0.7, 0.3]), np.array([0.2, 0.8])
    held = [0, 0, 0]
    for _ in range(runs):
        arms = (chance.random(decisions) > shares[0]).astype(int)
        rewards = (chance.random(decisions) < rate).astype(float)
        model = np.full(decisions, rewards.mean())
        told = (
            ips(rewards, shares[arms], target[arms]),
            snips(rewards, shares[arms], target[arms]),
            doubly_robust(rewards, shares[arms], target[arms], model, model),
        )
        for place, estimate in enumerate(told):
            assert estimate.low <= estimate.value <= estimate.high
            held[place] += estimate.low <= rate <= estimate.high
    assert min(held) >= 0.95 * runs


def test_an_interval_is_one_also_where_the_estimate_is_beyond_all_rewards() -> None:
    told = ips(np.ones(400), np.full(400, 0.2), np.full(400, 0.4))
    assert told.value == pytest.approx(2)
    assert (told.low, told.high) == (1, 1)


def test_an_estimate_beyond_all_rewards_has_no_support_however_large_the_log() -> None:
    much = ips(np.ones(210), np.repeat([0.05, 0.9], [200, 10]), np.full(210, 0.5))
    rewards, propensities = np.repeat([0.0, 1.0], [200, 5]), np.repeat([0.1, 0.9], [200, 5])
    little = doubly_robust(rewards, propensities, np.full(205, 0.9), np.full(205, 0.5), np.full(205, 0.2))
    assert much.ess > ESS_MIN
    assert little.ess > ESS_MIN
    assert not much.is_supported
    assert not little.is_supported
    own = np.full(300, 0.1)
    assert ips(np.full(300, 0.7), own, own).is_supported


def test_estimates_are_right_on_average() -> None:
    found = list(logs(200, 1))
    for name in ("IPS", "SNIPS", "doubly robust"):
        misses = [told[name].value - truth for truth, told in found]
        assert abs(np.mean(misses)) < 3 * np.std(misses) / np.sqrt(len(misses))


def test_a_policy_judged_by_its_own_log_is_the_mean_of_it() -> None:
    rewards = np.array([0.0, 1.0, 0.0, 0.0])
    half = np.full(4, 0.5)
    for estimate in (ips(rewards, half, half), snips(rewards, half, half)):
        assert estimate.value == pytest.approx(0.25)
        assert estimate.ess == pytest.approx(4)


def test_a_log_that_hardly_ever_did_what_the_policy_would_gives_no_support() -> None:
    rewards = np.zeros(1000)
    propensities, target = np.full(1000, 0.5), np.full(1000, 0.01)
    propensities[7], target[7] = 0.001, 1.0
    assert not ips(rewards, propensities, target).is_supported
    assert snips(rewards, np.full(1000, 0.5), np.full(1000, 0.5)).is_supported


@pytest.mark.parametrize(
    ("propensities", "target", "fact"),
    [([], [], "empty"), ([0.5, 0.0], [0.5, 0.5], "not above 0"), ([0.5, 0.5], [0.0, 0.0], "none of the actions")],
)
def test_a_log_that_says_nothing_is_refused(propensities: list[float], target: list[float], fact: str) -> None:
    with pytest.raises(ValueError, match=fact):
        ips(np.zeros(len(propensities)), np.array(propensities), np.array(target))


def test_money_can_be_judged_too() -> None:
    chance = np.random.default_rng(1)
    taken = chance.random(20_000) < 0.8
    rewards = np.where(chance.random(20_000) < 0.05, chance.lognormal(4, 1, 20_000) * np.where(taken, 1, 2), 0)
    always_other = snips(rewards, np.where(taken, 0.8, 0.2), np.where(taken, 0.0, 1.0))
    assert always_other.low < 0.05 * 2 * np.exp(4.5) < always_other.high
