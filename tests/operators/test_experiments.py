"""Who gets which arm, who is held out, and what decisions say of it, also while somebody edits the shares."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators import balance
from operators.experiments import ARMS_MAX, Drawn, arm_for, assigned, is_held_out, share
from operators.flow import Arm, Flow, FlowError, Group, Template, arm, days, experiment, hours, on, send, wait
from operators.guards import Rules
from operators.program import Program
from operators.simulate import simulate
from operators.steps import Experiment
from operators.tallies import Counts, tallied_in
from state.customer import Assigned, Customer
from state.decisions import Decision
from state.events import CartViewed, Event, ProductViewed
from state.ids import Ids
from tests.operators.shards import DAY, START, Desk, agrees, desk, identify, track

VIEW = ProductViewed(product_id="p1")
IDS = Ids(b"secret")


def nothing(_: Event, __: Customer) -> Mapping[str, Any]:
    return {}


def message(name: str) -> Template[Event]:
    return Template(name, nothing)


def offer(*shares: float, names: str = "abc") -> Experiment[Event]:
    arms: list[Arm[Event]] = [arm(n, percent, send(message(n))) for n, percent in zip(names, shares, strict=False)]
    step = experiment("offer", *arms)
    assert isinstance(step, Experiment)
    return step


def an_offer(*shares: float, names: str = "abc") -> Flow[Any]:
    return Flow("test", enter=on(ProductViewed), steps=[offer(*shares, names=names)])


def crowd(shop: Desk, count: int, *, first: int = 0) -> None:
    """So many come, agree and look at something; whoever is known by now only looks."""
    for n in range(first, first + count):
        shop.events(identify(f"c{n}"), agrees(f"c{n}"), track(f"c{n}", shop.wall.ms, "Product Viewed", product_id="p1"))


def latest(shop: Desk, count: int) -> list[Decision]:
    return [shop.decided(f"c{n}")[-1] for n in range(count)]


def test_who_has_an_arm_keeps_it_when_the_shares_are_edited_and_newcomers_get_the_new_ones(tmp_path: Path) -> None:
    with desk(tmp_path, an_offer(50, 50)) as shop:
        crowd(shop, 200)
        before = latest(shop, 200)
    with desk(tmp_path, an_offer(90, 10), wall=START + DAY) as shop:
        crowd(shop, 400)
        after = latest(shop, 400)
    assert [each.arm for each in after[:200]] == [each.arm for each in before]
    assert {each.propensity for each in after[:200]} == {0.5}, "as probable as it was when it was drawn"
    newcomers = Counter(each.arm for each in after[200:])
    assert 160 <= newcomers["a"] <= 195  # 180 of 200, ± 3.5 standard deviations
    assert {(each.arm, each.propensity) for each in after[200:]} == {("a", 0.9), ("b", 0.1)}


def test_an_arm_that_is_closed_keeps_its_people_and_one_that_is_taken_out_gives_them_to_the_others(
    tmp_path: Path,
) -> None:
    with desk(tmp_path, an_offer(50, 50)) as shop:
        crowd(shop, 60)
        before = [each.arm for each in latest(shop, 60)]
    with desk(tmp_path, an_offer(100, 0), wall=START + DAY) as shop:
        crowd(shop, 90)
        closed = [each.arm for each in latest(shop, 90)]
    with desk(tmp_path, an_offer(50, 50, names="ac"), wall=START + 2 * DAY) as shop:
        crowd(shop, 90)
        taken_out = [each.arm for each in latest(shop, 90)]
    assert closed == before + ["a"] * 30
    assert [now for now, was in zip(taken_out, closed, strict=True) if was == "a"] == ["a"] * closed.count("a")
    assert {now for now, was in zip(taken_out, closed, strict=True) if was == "b"} == {"a", "c"}


@given(st.lists(st.floats(0.5, 30), min_size=2, max_size=3), st.lists(st.floats(0.5, 30), min_size=2, max_size=3))
def test_whatever_the_shares_become_nobody_who_has_an_arm_is_moved(one: list[float], other: list[float]) -> None:
    first, second = (offer(*(100 * each / sum(given) for each in given)) for given in (one, other))
    for n in range(20):
        customer, drawn = Customer(id=f"c{n}"), dict[str, Drawn]()
        chosen, propensity = arm_for(first, customer, IDS, drawn)
        customer.arms = assigned(customer.arms, tuple(drawn.values()), START)
        again: dict[str, Drawn] = {}
        kept, as_probable = arm_for(second, customer, IDS, again)
        if chosen.name in {each.name for each in second.arms}:
            assert (kept.name, as_probable, again) == (chosen.name, propensity, {})
        else:
            assert again["offer"].arm == kept.name


def test_what_is_kept_of_experiments_is_bounded_and_the_oldest_goes() -> None:
    arms: dict[str, Assigned] = {}
    for n in range(ARMS_MAX + 6):
        arms = assigned(arms, (Drawn(f"e{n}", "a", 0.5, ()),), START + n)
    assert list(arms) == [f"e{n}" for n in range(6, ARMS_MAX + 6)]


def test_an_arm_is_given_back_when_the_code_behind_it_fails_and_the_imbalance_is_seen(tmp_path: Path) -> None:
    def fails(_: Event, __: Customer) -> Mapping[str, Any]:
        raise KeyError("colour")

    broken = replace(message("b"), content=fails)
    flow = Flow(
        "test",
        enter=on(ProductViewed),
        steps=[experiment("offer", arm("a", 50, send(message("a"))), arm("b", 50, send(broken)))],
    )
    with desk(tmp_path, flow) as shop:
        for n in range(120):
            shop.wall.ms += 10_000  # seldom enough for the flow not to be stopped
            crowd(shop, 1, first=n)
        told = balance.judged([balance.seen(Program([flow]), shop.shard.tallies.counts)])["offer"]
        assert told["customers"]["b"] == 0
        assert 40 <= told["customers"]["a"] <= 80
        assert told["mismatch"], told
        nobody = shop.shard.residents.entry(IDS.customer(b"c0")).customer.arms
        assert {each.arm for each in nobody.values()} <= {"a"}


def test_a_sound_experiment_is_counted_once_for_each_customer_also_over_a_restart(tmp_path: Path) -> None:
    flow = an_offer(25, 75)
    for day in range(3):
        with desk(tmp_path, flow, wall=START + day * DAY) as shop:
            crowd(shop, 150)
            assert tallied_in(shop.shard.store) == shop.shard.tallies.counts
            told = balance.judged([balance.seen(Program([flow]), shop.shard.tallies.counts)])["offer"]
    assert sum(told["customers"].values()) == 150
    assert told["customers"] == dict(
        Counter((IDS.share("experiment", "offer", f"c{n}") < 0.25 and "a") or "b" for n in range(150))
    )
    assert (told["shares"], told["mismatch"]) == ({"a": 25, "b": 75}, False)


def test_who_gets_an_arm_that_says_nothing_is_counted_too(tmp_path: Path) -> None:
    step = experiment("offer", arm("a", 50, send(message("a"))), arm("nothing", 50))
    flow = Flow("test", enter=on(ProductViewed), steps=[step])
    with desk(tmp_path, flow) as shop:
        crowd(shop, 80)
        told = balance.judged([balance.seen(Program([flow]), shop.shard.tallies.counts)])["offer"]
    assert sum(told["customers"].values()) == 80
    assert told["customers"]["nothing"] > 20


def test_customers_that_got_their_arm_under_other_shares_do_not_count_against_the_present_ones(tmp_path: Path) -> None:
    with desk(tmp_path, an_offer(50, 50)) as shop:
        crowd(shop, 150)
    with desk(tmp_path, an_offer(95, 5), wall=START + DAY) as shop:
        crowd(shop, 250)
        told = balance.judged([balance.seen(Program([an_offer(95, 5)]), shop.shard.tallies.counts)])["offer"]
    assert sum(told["customers"].values()) == 100
    assert not told["mismatch"]


def test_the_numbers_of_several_workers_are_added_up() -> None:
    one = balance.seen(Program([an_offer(50, 50)]), {("arm", "offer", "a 50, b 50", "a"): 400})
    other = balance.seen(Program([an_offer(50, 50)]), {("arm", "offer", "a 50, b 50", "b"): 400})
    assert balance.judged([one])["offer"]["mismatch"]
    assert balance.judged([one, other])["offer"]["customers"] == {"a": 400, "b": 400}
    assert not balance.judged([one, other])["offer"]["mismatch"]


def test_whoever_looks_after_every_customer_is_seldom_alarmed_for_nothing() -> None:
    program, chance, alarmed = Program([an_offer(50, 30, 20)]), random.Random(11), 0
    for _ in range(60):
        counts = Counter[str]()
        for _ in range(300):
            counts[chance.choices("abc", (50, 30, 20))[0]] += 1
            tallies: Counts = {("arm", "offer", "a 50, b 30, c 20", name): count for name, count in counts.items()}
            if balance.judged([balance.seen(program, tallies)])["offer"]["mismatch"]:
                alarmed += 1
                break
    assert alarmed == 0  # of 60, at most one in a thousand


# -- holdouts


HELD = replace(an_offer(50, 50), holdout_percent=20)
PLAIN = Flow("plain", enter=on(ProductViewed), steps=[send(message("plain"))])


def of(flow: Flow[Any], rules: Rules, customers: int = 400) -> list[Decision]:
    shop = simulate(flow).under(rules).at(hours(0), VIEW)
    return [replace(shop, customer_id=f"c{n}").decisions()[0] for n in range(customers)]


def test_some_get_nothing_from_a_flow_and_every_decision_says_who_is_compared_with_whom() -> None:
    made = of(replace(PLAIN, holdout_percent=20), Rules())
    held = [each for each in made if each.reason == "holdout"]
    assert 50 <= len(held) <= 110  # 80 of 400, ± 3.7 standard deviations
    assert {(each.outcome, each.experiment, each.arm, each.propensity) for each in held} == {
        ("skip", "holdout:plain", "held_out", 0.2)
    }
    assert {(each.outcome, each.experiment, each.arm, each.propensity) for each in made if each not in held} == {
        ("send", "holdout:plain", "treated", 0.8)
    }


def test_the_shops_holdout_goes_before_the_flows_and_both_before_the_arm() -> None:
    made = of(HELD, Rules(holdout_percent=10))
    told = Counter((each.reason, each.experiment, each.arm, each.propensity) for each in made)
    assert set(told) == {
        ("holdout", "holdout", "held_out", 0.1),
        ("holdout", "holdout:test", "held_out", 0.2),
        ("", "offer", "a", 0.5),
        ("", "offer", "b", 0.5),
    }
    ids = Ids(b"simulation")
    held = {f"c{n}" for n in range(400) if is_held_out(ids, f"c{n}", 10)}
    assert {each.customer for each in made if each.experiment == "holdout"} == held


def test_whoever_is_held_out_is_called_so_also_where_another_guard_spoke_first() -> None:
    shop = simulate(PLAIN).under(Rules(holdout_percent=30)).without_consent().at(hours(0), VIEW)
    for n in range(50):
        [made] = replace(shop, customer_id=f"c{n}").decisions()
        held = is_held_out(Ids(b"simulation"), f"c{n}", 30)
        assert (made.reason, made.arm) == ("no_consent", "held_out" if held else "treated")


@given(st.floats(0, 100), st.floats(0, 100))
def test_with_more_percent_more_are_held_out_and_nobody_else_moves(one: float, other: float) -> None:
    less, more = sorted((one, other))
    for n in range(50):
        assert is_held_out(IDS, f"c{n}", less, "plain") <= is_held_out(IDS, f"c{n}", more, "plain")


def test_holdouts_of_two_flows_and_of_the_shop_are_drawn_apart() -> None:
    both = sum(share(IDS, f"c{n}", "one") < 50 and share(IDS, f"c{n}", "two") < 50 for n in range(1000))
    all_three = sum(share(IDS, f"c{n}") < 50 and share(IDS, f"c{n}", "one") < 50 for n in range(1000))
    assert 200 <= both <= 300
    assert 200 <= all_three <= 300


def test_whoever_is_held_out_of_a_flow_does_not_wait_for_it_in_its_group() -> None:
    group = Group("turns")
    first = Flow(
        "first",
        on(ProductViewed),
        [wait("a", days(1)), send(message("a"))],
        group=group,
        priority=1,
        holdout_percent=50,
    )
    second = Flow("second", on(CartViewed), [send(message("b"))], group=group)
    shop = simulate(first, second).at(hours(0), VIEW).at(hours(1), CartViewed())
    for n in range(20):
        made = replace(shop, customer_id=f"c{n}").decisions()[0]
        held = is_held_out(Ids(b"simulation"), f"c{n}", 50, "first")
        assert (made.message, made.reason) == ("b", "" if held else "arbitration")


def test_transactional_messages_say_nothing_of_holdouts() -> None:
    receipt = Flow(
        "receipt", on(ProductViewed), [send(Template("receipt", nothing, kind="transactional"))], holdout_percent=100
    )
    [made] = simulate(receipt).under(Rules(holdout_percent=100)).at(hours(0), VIEW).decisions()
    assert (made.outcome, made.experiment, made.arm, made.propensity) == ("send", "", "", None)


def test_the_timeline_tells_both_shares() -> None:
    told = simulate(HELD).under(Rules(holdout_percent=1)).at(hours(0), VIEW).timeline()
    [said] = [each.detail for each in told if each.what == "guard" and each.name == "holdout"]
    assert ", held out below 1; of flow test: her share " in said
    assert said.endswith(", held out below 20")


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: replace(PLAIN, holdout_percent=101), "plain.holdout_percent is 101"),
        (
            lambda: Flow("x", on(ProductViewed), [experiment("holdout", arm("a", 100))]),
            "Give the experiment another name",
        ),
        (
            lambda: Program([an_offer(50, 50), replace(an_offer(60, 40), name="other")]),
            "has other arms or shares elsewhere",
        ),
    ],
)
def test_what_could_not_be_told_apart_later_is_refused_at_import(make: Any, fault: str) -> None:
    with pytest.raises(FlowError, match=fault):
        make()
