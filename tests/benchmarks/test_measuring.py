"""A sample of `make bench-measuring`: alarms and coverage of statistics that are looked at daily."""

from dataclasses import replace

import pytest

from benchmarks.measuring import STATISTICS, Shop, run

SHOP = Shop("a shop", treated=0.7, rate=0.1, tail=0.5, a_day=200, days=30)
OURS = STATISTICS[:-1]


@pytest.fixture(scope="module")
def nothing_new() -> dict[str, int]:
    return {name: seen.told for name, seen in zip(STATISTICS, run(SHOP, 50, seed=7), strict=True)}


def test_looking_daily_does_not_find_what_is_not_there(nothing_new: dict[str, int]) -> None:
    assert {name: nothing_new[name] for name in OURS if nothing_new[name] > 2} == {}


def test_an_ordinary_test_looked_at_daily_would_have_found_it(nothing_new: dict[str, int]) -> None:
    assert nothing_new[STATISTICS[-1]] > 5


def test_what_is_there_is_found_and_always_covered() -> None:
    seen = dict(zip(STATISTICS, run(replace(SHOP, lift=0.5), 25, seed=7), strict=True))
    assert {name: seen[name].wrong for name in OURS if seen[name].wrong > 1} == {}
    assert seen["conversion"].told >= 24
    assert seen["revenue, CUPED"].told >= 24
