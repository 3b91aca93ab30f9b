"""The loads themselves: the same from a seed, at the rates they say, however many customers there are."""

import json
import random
from collections import Counter
from itertools import islice, pairwise

import pytest

from benchmarks.load.paces import DAY, DailyCurve, Spike, Steady, arrivals, mean_factor
from benchmarks.load.plans import Load, line
from benchmarks.load.workloads import WORKLOADS, Mix, NoSuchWorkload, Workload, workload


def load(name: str = "steady", rate: float = 100, customers: int = 1_000, seconds: float = 10) -> Load:
    return Load(workload(name), rate, customers, seconds, warm_seconds=1.0)


@pytest.mark.parametrize("each", WORKLOADS, ids=lambda each: each.name)
def test_the_same_seed_makes_the_same_load_and_each_event_is_one(each: Workload) -> None:
    first, again = list(load(each.name)), list(load(each.name))
    assert first == again
    assert [planned.at for planned in first] == sorted(planned.at for planned in first)
    for planned in first:
        event = json.loads(line("b", 7, planned.body, 1_700_000_000_000))
        assert event["userId"] == planned.who
        assert event["messageId"] == "b:7"
        assert event["timestamp"] == "2023-11-14T22:13:20.000Z"


def test_a_rate_is_kept_to_the_event_and_the_warm_up_comes_before() -> None:
    events = list(load(rate=100, seconds=10))
    assert sum(planned.at < 0 for planned in events) == 100
    assert sum(planned.at >= 0 for planned in events) == 1_000
    assert max(planned.at for planned in events) < 10_000


def test_a_sale_brings_twenty_times_the_rate_and_only_while_it_lasts() -> None:
    by_second = Counter(planned.at // 1000 for planned in load("spike", rate=10, seconds=20))
    assert by_second[2] == 10
    assert by_second[7] == 200
    assert by_second[12] == 10


def test_a_day_in_a_run_has_its_night_and_its_evening() -> None:
    curve = DailyCurve()
    assert curve.factor(3.5, 24) < 0.2 < 1.9 < curve.factor(21, 24)
    assert mean_factor(curve, 24) == pytest.approx(sum(DAY) / 24, rel=0.01)
    assert sum(DAY) / 24 == pytest.approx(1, rel=0.02)
    assert mean_factor(Steady(), 24) == 1
    assert mean_factor(Spike(), 24) == pytest.approx(0.25 * 20 + 0.75)


def test_arrivals_by_chance_come_in_bursts_and_at_the_rate_all_the_same() -> None:
    due = list(arrivals(Steady(), 1_000, 0, 20, random.Random(1)))
    assert len(due) == pytest.approx(20_000, rel=0.03)
    gaps = [b - a for a, b in pairwise(due)]
    assert min(gaps) < 0.0001 < 0.004 < max(gaps)


def test_one_event_in_five_leads_to_a_mail_and_nobody_agrees_twice() -> None:
    mails = [planned for planned in load() if planned.mails]
    assert len(mails) == 220
    assert len({planned.who for planned in mails}) == 220
    assert all("Consent Granted" in planned.body for planned in mails)


def test_who_agrees_is_known_beforehand_or_has_an_address_already() -> None:
    plan = load()
    known = {who for who, body in plan.before() if "@example.invalid" in body}
    assert {planned.who for planned in plan if planned.mails} <= known
    among = Load(workload("steady"), 100, 1_000, 10, known=500, known_from=40)
    assert list(among.before()) == []
    assert [planned.who for planned in islice((p for p in among if p.mails), 2)] == ["v40", "v41"]


def test_ten_million_customers_need_no_list_of_them() -> None:
    seen = {planned.who for planned in islice(load(customers=10_000_000), 1_000) if not planned.mails}
    assert max(int(who[1:]) for who in seen) > 9_000_000
    tail = Counter(planned.who for planned in load("long-tail", rate=2_000, customers=10_000_000) if not planned.mails)
    ((first, most), *_) = tail.most_common(1)
    assert first == "v0"
    assert most > 0.05 * tail.total()
    assert len(tail) > 0.2 * tail.total()


def test_a_hot_key_does_half_of_all_and_gets_no_mail_that_is_timed() -> None:
    plan = load("hot-key", rate=1_000)
    who = Counter(planned.who for planned in plan if not planned.mails)
    assert who["b-hot"] == pytest.approx(0.5 * who.total(), rel=0.05)
    assert "b-hot" not in {planned.who for planned in plan if planned.mails}


def test_a_mix_without_mails_has_none() -> None:
    assert not any(planned.mails for planned in Load(Workload("w", "", mix=Mix(mail_every=0)), 100, 10, 2))


def test_a_workload_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(NoSuchWorkload, match=r"stedy: there is no such workload\. Choose one of steady, daily"):
        workload("stedy")
