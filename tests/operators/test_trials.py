"""A new version of a flow beside the present one: on some customers, or in the shadow of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.supervisor_edits import check
from operators.comparison import Trials, together
from operators.counts import parked_in
from operators.flow import (
    Flow,
    FlowError,
    Group,
    Step,
    Template,
    Trigger,
    arm,
    at_most,
    canary,
    days,
    experiment,
    hours,
    on,
    send,
    shadow,
    wait,
    wait_for,
)
from operators.guards import Rules
from operators.places import rest
from operators.program import Program
from operators.simulate import Simulation, simulate
from operators.trials import canary_name
from state.carts import CartEvent
from state.customer import Customer
from state.decisions import Decision
from state.events import CartViewed, Event, OrderCompleted, ProductEvent, ProductViewed
from state.ids import Ids
from state.passages import PASSAGES_MAX, Passage
from tests.operators.shards import DAY, HOUR, START, Desk, agrees, desk, identify, track
from tests.operators.shards import message as shards_message

IDS = Ids(b"secret")


def nothing(_: Event, __: Customer) -> Mapping[str, Any]:
    return {}


def fails(_: Event, __: Customer) -> Mapping[str, Any]:
    raise KeyError("colour")


def message(name: str) -> Template[Event]:
    return Template(name, nothing, within=days(9))


def care(*steps: Step[Event], enter: Trigger[Any] = on(ProductViewed), **more: Any) -> Flow[Any]:  # noqa: B008
    return Flow("care", enter=enter, steps=list(steps), leave=[on(OrderCompleted)], **more)


OLD = care(wait("an_hour", hours(1)), send(message("old")), wait("a_day", days(1)), send(message("old_2")))
NEW = care(
    wait("an_hour", hours(1)),
    send(message("new")),
    wait("the_next_day", days(1)),
    send(message("new_2")),
    renamed={"a_day": "the_next_day"},
)
PEOPLE = 60


def people(shop: Desk, numbers: range = range(PEOPLE)) -> None:
    for n in numbers:
        name = f"c{n}"
        shop.events(identify(name), agrees(name), track(name, shop.wall.ms, "Product Viewed", product_id="p1"))


def go_on(shop: Desk, until: int) -> None:
    shop.wall.ms = START + until
    shop.clock_at(START + until)
    while shop.shard.behind:
        shop.shard.tick()


def told(shop: Desk, n: int) -> list[str]:
    return [each.message for each in shop.decided(f"c{n}")]


def tries(n: int, percent: float) -> bool:
    return IDS.share("canary", "care", f"c{n}") * 100 < percent


# -- canaries


def test_a_sticky_share_is_under_the_new_version_and_the_others_under_the_present_one(tmp_path: Path) -> None:
    program = Program([OLD, canary(NEW, percent=30)])
    with desk(tmp_path, OLD, canary(NEW, percent=30)) as shop:
        people(shop)
        go_on(shop, 2 * DAY)
        for n in range(PEOPLE):
            assert told(shop, n) == (["new", "new_2"] if tries(n, 30) else ["old", "old_2"])
            version = program.canary_versions["care"] if tries(n, 30) else program.versions["care"]
            assert {(each.flow, each.flow_version) for each in shop.decided(f"c{n}")} == {("care", version)}
    assert 8 <= sum(tries(n, 30) for n in range(PEOPLE)) <= 30


def test_who_is_inside_when_the_trial_begins_goes_on_by_her_version(tmp_path: Path) -> None:
    with desk(tmp_path, OLD) as shop:
        people(shop)
        go_on(shop, 2 * HOUR)
        assert parked_in(shop.shard.store) == {("care", "a_day"): PEOPLE}
    with desk(tmp_path, OLD, canary(NEW, percent=50)) as shop:
        go_on(shop, 2 * DAY)
        for n in range(PEOPLE):
            assert told(shop, n) == ["old", "new_2" if tries(n, 50) else "old_2"]


@pytest.mark.parametrize(
    "flows", [(OLD, canary(NEW, percent=0)), (NEW,), (replace(OLD, renamed={"the_next_day": "a_day"}),)]
)
def test_rolled_back_or_promoted_nobody_who_is_parked_is_lost(tmp_path: Path, flows: tuple[Flow[Any], ...]) -> None:
    with desk(tmp_path, OLD, canary(NEW, percent=50)) as shop:
        people(shop)
        go_on(shop, 2 * HOUR)
        parked = parked_in(shop.shard.store)
        assert set(parked) == {("care", "a_day"), ("care", "the_next_day")}
        assert sum(parked.values()) == PEOPLE
    with desk(tmp_path, *flows) as shop:
        go_on(shop, 2 * DAY)
        assert parked_in(shop.shard.store) == {}
        last = "new_2" if flows == (NEW,) else "old_2"
        for n in range(PEOPLE):
            assert told(shop, n) == ["new" if tries(n, 50) else "old", last]


def test_an_operator_takes_a_canary_back_while_the_worker_runs(tmp_path: Path) -> None:
    with desk(tmp_path, OLD, canary(NEW, percent=50)) as shop:
        people(shop)
        go_on(shop, 2 * HOUR)
        shop.breaker.ask({canary_name("care")})
        go_on(shop, 2 * DAY)
        assert {told(shop, n)[-1] for n in range(PEOPLE)} == {"old_2"}


def test_a_canary_that_fails_is_taken_back_by_itself_and_the_present_version_goes_on(tmp_path: Path) -> None:
    broken = care(wait("an_hour", hours(1)), send(Template("new", fails)))
    with desk(tmp_path, OLD, canary(broken, percent=50)) as shop:
        people(shop)
        go_on(shop, 2 * HOUR)
        assert shop.breaker.stopped == {canary_name("care")}
        made = Counter(each.message for n in range(PEOPLE) for each in shop.decided(f"c{n}"))
        assert made["new"] == 0
        assert PEOPLE - 12 <= made["old"] < PEOPLE, "but for those whose transitions were set aside"


def test_waits_that_only_one_version_has_are_ended_by_it(tmp_path: Path) -> None:
    longer = care(
        wait("an_hour", hours(1)),
        send(message("new")),
        wait_for("order", on(ProductViewed), within=days(2)),
        send(message("new_2")),
    )
    with desk(tmp_path, OLD, canary(longer, percent=100)) as shop:
        people(shop, range(4))
        go_on(shop, 2 * HOUR)
    with desk(tmp_path, OLD, canary(longer, percent=0), wall=START + 3 * HOUR) as shop:
        shop.events(track("c1", START + 3 * HOUR, "Product Viewed", product_id="p2"))
        shop.events(track("c2", START + 3 * HOUR, "Order Completed", order_id="o1"))
        assert [told(shop, n) for n in range(4)] == [["new"], ["new", "new_2"], ["new"], ["new"]]
        go_on(shop, 3 * DAY)
        assert told(shop, 0) == ["new", "new_2"]
        assert told(shop, 2) == ["new"], "she ordered, and left"
        assert told(shop, 1) == ["new", "new_2", "old", "old_2"], "the view that ended the wait, began her next passage"


def test_with_more_percent_more_are_tried_on_and_nobody_is_taken_off() -> None:
    for n in range(200):
        assert tries(n, 10) <= tries(n, 40)


def test_status_has_both_versions_side_by_side_from_when_they_met(tmp_path: Path) -> None:
    flows = OLD, canary(NEW, percent=30)
    with desk(tmp_path, OLD) as shop:
        people(shop, range(10))
        go_on(shop, 2 * DAY)
    with desk(tmp_path, *flows, wall=START + 2 * DAY) as shop:
        people(shop)
        go_on(shop, 5 * DAY)
        seen = Trials(Program(flows)).seen(shop.shard.tallies.counts)
    tried = sum(tries(n, 30) for n in range(PEOPLE))
    program = Program(flows)
    assert seen == {
        "care": {
            "trial": "canary, 30 %",
            "present": {
                "version": program.versions["care"],
                "entered": PEOPLE - tried,
                "decisions": {name: {"send": PEOPLE - tried} for name in ("old", "old_2")},
            },
            "canary": {
                "version": program.canary_versions["care"],
                "entered": tried,
                "decisions": {name: {"send": tried} for name in ("new", "new_2")},
            },
        }
    }
    twice = together([seen, seen])["care"]
    assert twice["canary"]["decisions"]["new"] == {"send": 2 * tried}
    assert twice["canary"]["version"] == program.canary_versions["care"]
    edited = Program([OLD, canary(replace(NEW, priority=1), percent=30)])
    assert Trials(edited).seen(shop.shard.tallies.counts)["care"]["canary"]["entered"] == 0


# -- shadows

VIEWS = st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["view", "cart", "order"])), min_size=1, max_size=25)
EVENTS: dict[str, Event] = {
    "view": ProductViewed(product_id="p1"),
    "cart": CartViewed(),
    "order": OrderCompleted(order_id="o1"),
}
RULES = st.builds(
    Rules,
    cap=st.sampled_from([None, 1, 3]),
    cap_period=st.just(7 * DAY),
    min_gap=st.sampled_from([0, 5 * HOUR]),
    quiet_from=st.sampled_from([None, 20 * 60]),
    quiet_to=st.just(8 * 60),
    holdout_percent=st.sampled_from([0.0, 40.0]),
)


def not_told_lately(view: ProductViewed, customer: Customer) -> bool:
    return not any(customer.was_told(name, since=view.at - 2 * DAY) for name in ("old", "new"))


TURNS = Group("turns", pause=hours(20))
LOUD = Flow("loud", enter=on(CartViewed), steps=[wait("cart", hours(2)), send(message("loud"))], group=TURNS)
MODEST_OLD = replace(OLD, enter=on(ProductViewed, where=not_told_lately), group=TURNS, cap=at_most(3, per=days(3)))
MODEST_NEW = care(
    wait("three_hours", hours(3)),
    experiment("words", arm("few", 50, send(message("new"))), arm("many", 50, send(message("more")))),
    wait("a_day", days(1)),
    send(message("new_2")),
    enter=on(ProductViewed, where=not_told_lately),
    group=TURNS,
    cap=at_most(2, per=days(3)),
    priority=1,
)


def history(shop: Simulation, happened: list[tuple[int, str]], rules: Rules) -> Simulation:
    shop, at = shop.under(rules), 0
    for after, what in happened:
        at += after
        shop = shop.at(hours(at), EVENTS[what])
    return shop


def plain(made: list[Decision]) -> list[tuple[str, ...]]:
    return [(each.at, each.message, each.outcome, each.reason, each.until, each.experiment, each.arm) for each in made]


@given(VIEWS, RULES)
def test_a_version_in_the_shadow_changes_nothing_of_what_is_decided(
    happened: list[tuple[int, str]], rules: Rules
) -> None:
    without = history(simulate(MODEST_OLD, LOUD), happened, rules)
    beside = history(simulate(MODEST_OLD, LOUD, shadow(MODEST_NEW)), happened, rules)
    assert beside.decisions() == without.decisions()
    alone, now = without.customer(), beside.customer()
    assert (now.sent, now.told, now.arms) == (alone.sent, alone.told, alone.arms)


@given(VIEWS, RULES)
def test_a_version_in_the_shadow_decides_as_it_would_in_the_place_of_the_present_one(
    happened: list[tuple[int, str]], rules: Rules
) -> None:
    quiet = [each for each in happened if each[1] != "cart"]  # so that nobody else speaks, or would otherwise
    if quiet:
        shadowed = history(simulate(MODEST_OLD, LOUD, shadow(MODEST_NEW)), quiet, rules).shadowed()
        assert plain(shadowed) == plain(history(simulate(MODEST_NEW, LOUD), quiet, rules).decisions())


def test_a_shadow_sees_what_other_flows_send_and_not_what_the_present_version_sends() -> None:
    shop = simulate(OLD, LOUD, shadow(NEW)).under(Rules(cap=2, cap_period=7 * DAY))
    shop = shop.at(hours(0), EVENTS["cart"]).at(hours(2), EVENTS["view"])
    assert [(each.message, each.reason) for each in shop.decisions()] == [("loud", ""), ("old", ""), ("old_2", "cap")]
    assert [(each.message, each.reason) for each in shop.shadowed()] == [("new", ""), ("new_2", "cap")]


def test_a_shadow_of_high_priority_wins_no_moment_from_others() -> None:
    loud = Flow("loud", enter=on(ProductViewed), steps=[wait("so_long", hours(1)), send(message("loud"))])
    urgent = replace(OLD, priority=9)
    for flows in ((OLD, loud), (loud, OLD), (OLD, loud, shadow(urgent)), (shadow(urgent), loud, OLD)):
        shop = simulate(*flows).under(Rules(min_gap=3 * HOUR)).at(hours(0), EVENTS["view"])
        assert "arbitration" not in {each.reason for each in shop.decisions()}


def test_a_timeline_tells_of_the_canary_and_not_of_the_shadow() -> None:
    shop = simulate(OLD, shadow(NEW)).at(hours(0), EVENTS["view"])
    assert {each.flow for each in shop.timeline() if each.flow} == {"care"}
    assert simulate(OLD, canary(NEW, percent=100)).at(hours(0), EVENTS["view"]).decisions()[0].message == "new"
    tried = simulate(OLD, canary(NEW, percent=100)).at(hours(0), EVENTS["view"]).timeline()
    assert [each.message for each in tried if each.what == "decision"] == ["new", "new_2"]


def test_nothing_of_a_shadow_leaves_the_store_but_its_numbers(tmp_path: Path) -> None:
    flows = OLD, shadow(NEW)
    with desk(tmp_path, *flows) as shop:
        people(shop, range(5))
        go_on(shop, 2 * DAY)
        assert [told(shop, n) for n in range(5)] == [["old", "old_2"]] * 5
        assert {shards_message(row).template for row in shop.outbox("messages")} == {"old", "old_2"}
        assert len(shop.outbox("decisions")) == 10
        seen = Trials(Program(flows)).seen(shop.shard.tallies.counts)["care"]
        assert (seen["trial"], seen["present"]["entered"], seen["shadow"]["entered"]) == ("shadow", 5, 5)
        assert seen["shadow"]["decisions"] == {"new": {"send": 5}, "new_2": {"send": 5}}
        assert seen["present"]["decisions"] == {"old": {"send": 5}, "old_2": {"send": 5}}
        canaried = Trials(Program([OLD, canary(NEW, percent=10)])).seen(shop.shard.tallies.counts)["care"]
        assert canaried["present"]["entered"] == 0, "what the shadow saw is no part of a canary's numbers"


def test_a_shadow_that_is_taken_out_or_promoted_leaves_nobody_behind_and_holds_nothing_up(tmp_path: Path) -> None:
    slow = replace(NEW, steps=[wait("slow", hours(3)), *NEW.steps], renamed={})
    with desk(tmp_path, OLD, shadow(slow)) as shop:
        people(shop, range(3))
        go_on(shop, 2 * HOUR)
        assert set(parked_in(shop.shard.store)) == {("care", "a_day"), ("care@shadow", "slow")}
        check(Program([OLD]), parked_in(shop.shard.store), tmp_path)
    for flows in ((OLD,), (NEW,)):
        with desk(tmp_path, *flows, wall=START + 5 * HOUR) as shop:
            shop.clock_at(START + 5 * HOUR)
            shop.events(track("c0", shop.wall.ms, "Cart Viewed"))
            assert shop.shard.held.count == 0
            c0 = shop.shard.residents.entry(IDS.customer(b"c0")).customer
            assert (c0.aside, [each.flow for each in c0.passages]) == ({}, ["care"])
    with desk(tmp_path, NEW) as shop:
        go_on(shop, 2 * DAY)
        assert [told(shop, n) for n in range(3)] == [["old", "new_2"]] * 3


def test_a_shadow_that_fails_is_stopped_by_itself_and_set_aside_as_any_flow(tmp_path: Path) -> None:
    with desk(
        tmp_path, OLD, shadow(care(wait("an_hour", hours(1)), send(Template("new", fails)))), publishes=False
    ) as shop:
        people(shop, range(20))
        go_on(shop, 2 * HOUR)
        assert shop.breaker.stopped == {"care@shadow"}
        assert {letter.flow for letter in shop.shard.letters} == {"care@shadow"}
        assert [told(shop, n) for n in range(20)] == [["old"]] * 20


def test_shadows_push_no_passage_of_the_present_flows_out() -> None:
    passages: list[Passage] = []
    for n in range(3 * PASSAGES_MAX):
        at = {"subject": str(n), "id": str(n), "wait": "w", "until": n, "entered_at": n, "event": b""}
        if n < 5:
            passages = rest(passages, Passage(flow="care", **at))  # type: ignore[arg-type]
        passages = rest(passages, Passage(flow="care@shadow", **at))  # type: ignore[arg-type]
    assert [each.subject for each in passages if each.flow == "care"] == list("01234")
    assert len(passages) == PASSAGES_MAX + 5


def test_a_version_is_the_same_version_on_trial_and_promoted() -> None:
    promoted = Program([NEW]).versions["care"]
    assert Program([OLD, canary(NEW, percent=10)]).canary_versions["care"] == promoted
    assert Program([OLD, canary(NEW, percent=10)]).versions["care"] == Program([OLD]).versions["care"]


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: Program([canary(NEW, percent=10)]), "is tried beside nothing"),
        (lambda: Program([OLD, canary(NEW, percent=10), shadow(NEW)]), "on trial already"),
        (lambda: Program([OLD, OLD]), "there already is a flow"),
        (lambda: canary(NEW, percent=101), "not between 0 and 100"),
        (lambda: Program([replace(OLD, name="a@b")]), "has @ or / in it"),
        (lambda: Program([OLD, canary(replace(NEW, per=ProductEvent), percent=10)]), "another per"),
        (
            lambda: Program([OLD, canary(Flow("care", on(CartEvent), NEW.steps), percent=10)]),
            "another per, or enters by",
        ),
    ],
)
def test_trials_that_cannot_be_are_refused_at_import(make: Any, fault: str) -> None:
    with pytest.raises(FlowError, match=fault):
        make()
