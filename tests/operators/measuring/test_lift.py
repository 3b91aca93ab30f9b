"""What a message is said to have earned, and when nothing may be said yet."""

import math
from random import Random

import pytest

from operators.measuring.cohorts import novelty
from operators.measuring.cuped import adjusted, variance_left
from operators.measuring.lift import Interval, conversion_lift, revenue_lift
from operators.measuring.outcomes import Outcomes
from operators.measuring.ratio import CONCENTRATIONS, sample_ratio


def bought(customers: int, buyers: int, each: int = 5000) -> Outcomes:
    """So many customers, of whom these spent so much each."""
    outcomes = Outcomes()
    for number in range(customers):
        outcomes.add(number < buyers, each * (number < buyers))
    return outcomes


def test_twice_as_many_buyers_are_a_lift_of_a_hundred_percent() -> None:
    lift = conversion_lift(bought(1000, 200), bought(1000, 100))
    assert lift.estimate == pytest.approx(1.0)
    assert 0 < lift.low < 1 < lift.high
    assert lift.excludes_zero


def test_the_interval_ends_where_the_evidence_reaches_one_in_alpha() -> None:
    """Where buyers are so rare that no draw of them is without replacement."""
    lift = conversion_lift(bought(400_000, 230), bought(100_000, 40))
    for edge in (lift.low, lift.high):
        odds = 4 * (1 + edge)
        assert evidence(230, 40, odds / (1 + odds), 0.8) == pytest.approx(20, rel=0.01)


def evidence(ones: int, others: int, share: float, centre: float) -> float:
    """The mixture's likelihood ratio, multiplied up buyer by buyer as they come."""
    told, value = [0, 0], 1.0
    coming = [0] * ones + [1] * others
    Random(1).shuffle(coming)
    for arm in coming:
        prior = 100 * (centre, 1 - centre)[arm]
        value *= (prior + told[arm]) / (100 + sum(told)) / (share, 1 - share)[arm]
        told[arm] += 1
    return value


def test_nobody_bought_so_any_lift_is_possible() -> None:
    lift = conversion_lift(bought(10, 0), bought(10, 0))
    assert math.isnan(lift.estimate)
    assert (lift.low, lift.high) == (-1.0, math.inf)


def test_without_a_holdout_there_is_no_lift() -> None:
    assert not conversion_lift(bought(1000, 500), Outcomes()).excludes_zero
    assert not revenue_lift(bought(1000, 500).revenue(), Outcomes().revenue()).excludes_zero


def test_a_few_orders_say_nothing_about_revenue() -> None:
    lift = revenue_lift(bought(1000, 900).revenue(), bought(1000, 19).revenue())
    assert (lift.low, lift.high) == (-math.inf, math.inf)
    assert revenue_lift(bought(1000, 900).revenue(), bought(1000, 20).revenue()).excludes_zero


def test_one_huge_order_of_the_holdout_does_not_condemn_a_message() -> None:
    held = bought(200, 20)
    held.add(True, 10_000_000)
    assert not revenue_lift(bought(4000, 400).revenue(), held.revenue()).excludes_zero


def test_outcomes_add_up_in_any_order_to_the_same_report() -> None:
    chance = Random(3)
    rows = [(chance.random() < 0.3, chance.randrange(10**12), chance.randrange(10**12)) for _ in range(500)]
    forwards, backwards = Outcomes(), Outcomes()
    for row in rows:
        forwards.add(*row)
    for row in reversed(rows[250:]):
        backwards.add(*row)
    rest = Outcomes()
    for row in rows[:250]:
        rest.add(*row)
    assert forwards == backwards + rest


def regulars(seed: int, extra: int) -> Outcomes:
    """Customers who spend about what they spent before, and `extra`."""
    chance, outcomes = Random(seed), Outcomes()
    for _ in range(2000):
        before = chance.randrange(20_000)
        outcomes.add(True, before + chance.randrange(2000) + extra, before)
    return outcomes


def test_cuped_finds_what_hides_behind_what_customers_always_spend() -> None:
    treated, held = regulars(1, extra=500), regulars(2, extra=0)
    assert not revenue_lift(treated.revenue(), held.revenue()).excludes_zero
    lift = revenue_lift(*adjusted(treated, held))
    assert lift.low < 500 < lift.high
    assert lift.excludes_zero
    assert variance_left(treated, held) < 0.02


def test_cuped_changes_nothing_where_nobody_bought_before() -> None:
    treated, held = bought(300, 100), bought(300, 90)
    assert adjusted(treated, held) == (treated.revenue(), held.revenue())
    assert variance_left(treated, held) == 1.0


def test_a_message_that_worked_only_while_it_was_new_fades() -> None:
    weeks = {week: (bought(2000, 400 if week < 12 else 200), bought(2000, 200)) for week in range(10, 16)}
    found = novelty(weeks)
    assert found.verdict == "fades"
    assert found.new.estimate == pytest.approx(1.0)
    assert found.later.estimate == pytest.approx(0.0)
    assert [round(lift.estimate, 9) for lift in found.by_week.values()] == [1, 1, 0, 0, 0, 0]


def test_one_good_week_is_no_trend() -> None:
    weeks = {week: (bought(200, 25 if week == 1 else 20), bought(200, 20)) for week in range(6)}
    assert novelty(weeks).verdict == ""
    assert novelty({}).by_week == {}


def test_shares_that_came_out_as_drawn_raise_no_alarm() -> None:
    assert sample_ratio((9020, 980), (90, 10)).p_value == 1.0
    assert sample_ratio((0, 0, 0), (1, 1, 1)).e_value == pytest.approx(1.0)


def test_an_arm_that_loses_two_percent_of_its_customers_is_found_out() -> None:
    assert sample_ratio((98_000, 100_000), (0.5, 0.5)).p_value < 0.001


def test_the_evidence_against_the_shares_is_what_it_becomes_customer_by_customer() -> None:
    told, values = [0, 0], dict.fromkeys(CONCENTRATIONS, 1.0)
    for arm in [0, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1] * 30:
        for prior in values:
            values[prior] *= (prior / 2 + told[arm]) / (prior + sum(told)) / 0.5
        told[arm] += 1
    assert sample_ratio(told, (1, 1)).e_value == pytest.approx(
        sum(weight * values[near] for near, weight in CONCENTRATIONS.items())
    )


def test_an_arm_that_gets_nobody_at_all_is_found_out_before_thirty_customers() -> None:
    assert sample_ratio((25, 0), (1, 1)).p_value < 0.001


@pytest.mark.parametrize(("counts", "shares"), [((1, 2), (1,)), ((1, 2), (1, 0))])
def test_shares_that_cannot_be_are_refused(counts: tuple[int, ...], shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="arm"):
        sample_ratio(counts, shares)


def test_an_interval_that_touches_zero_says_nothing() -> None:
    assert not Interval(1.0, 0.0, 2.0).excludes_zero
    assert Interval(-1.0, -2.0, -0.5).excludes_zero
