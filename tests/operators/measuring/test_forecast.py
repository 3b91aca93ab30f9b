"""What the coming weeks are said to bring."""

from itertools import pairwise
from random import Random

import pytest

from operators.measuring.forecast import forecast

WEEKDAYS = (10, 12, 11, 13, 20, 40, 30)


def shop(days: int, seed: int) -> list[int]:
    """Orders a day, more at weekends, more or less by chance."""
    chance = Random(seed)
    return [WEEKDAYS[day % 7] + chance.randrange(-5, 6) for day in range(days)]


def test_a_steady_shop_will_sell_what_it_sells() -> None:
    for week in forecast(shop(140, seed=1)):
        assert week.low < sum(WEEKDAYS) < week.high
        assert week.estimate == pytest.approx(sum(WEEKDAYS), rel=0.05)


def test_nine_in_ten_weeks_come_out_within_what_was_told() -> None:
    right = []
    for seed in range(60):
        told = forecast(shop(175, seed)[:-28])
        then = shop(175, seed)[-28:]
        right += [
            week.low <= sum(then[first:last]) <= week.high
            for week, (first, last) in zip(told, pairwise(range(0, 29, 7)), strict=True)
        ]
    assert sum(right) / len(right) == pytest.approx(0.9, abs=0.05)


def test_three_weeks_are_too_few_to_tell_the_next() -> None:
    assert forecast(shop(21, seed=1)) == []
    assert len(forecast(shop(60, seed=1))) == 4


def test_sums_of_orders_are_never_negative() -> None:
    assert all(week.low >= 0 for week in forecast([max(0, 60 - day) for day in range(100)]))
