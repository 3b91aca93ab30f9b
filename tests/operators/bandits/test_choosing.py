"""Flows whose choices learn: who gets which arm, by which shares, and what decisions and stories say of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from operators.bandits.schedule import Entry, Schedule
from operators.flow import Flow, FlowError, Rails, Template, arm, choose, days, hours, on, send, thompson, wait
from operators.program import Program, version
from operators.simulate import START, simulate
from operators.steps import Choose, Step
from state.customer import Customer
from state.decisions import Decision
from state.events import Event, ProductAdded, ProductViewed

VIEW = ProductViewed(product_id="p1")
HOUR = 3_600_000


def nothing(_: Event, __: Customer) -> Mapping[str, Any]:
    return {}


def is_new(_: Event, customer: Customer) -> bool:
    return customer.orders == 0


SHORT, LONG = Template("short", nothing), Template("long", nothing)


def subject(**more: Any) -> Step[Event]:
    return choose("subject", arm("short", 50, send(SHORT)), arm("long", 50, send(LONG)), learns=thompson(), **more)


def a_flow(*steps: Step[Event]) -> Flow[Any]:
    return Flow("test", enter=on(ProductViewed), steps=steps or [subject()])


def entry(number: int, begins: int, short: float, **contexts: dict[str, float]) -> Entry:
    shares = contexts or {"": {"short": short, "long": 1 - short}}
    return Entry(choice="subject", number=number, begins=begins, shares=shares)


def first_of(flow: Flow[Any], schedule: Schedule | None = None, *, people: int = 400, after: int = 0) -> list[Decision]:
    shop = simulate(flow, schedule=schedule).at(hours(after), VIEW)
    return [replace(shop, customer_id=f"c{n}").decisions()[0] for n in range(people)]


def test_before_anything_is_learnt_the_flows_own_shares_hold() -> None:
    made = first_of(a_flow())
    assert {(each.experiment, each.propensity, each.shares) for each in made} == {("subject", 0.5, 0)}
    assert 150 <= Counter(each.arm for each in made)["short"] <= 250  # ± 5 standard deviations
    assert {(each.arm, each.message) for each in made} == {("short", "short"), ("long", "long")}


def test_shares_hold_from_the_moment_they_begin_whenever_they_are_asked() -> None:
    schedule = Schedule([entry(1, START + HOUR, 0.9), entry(2, START + 2 * HOUR, 0.0)])
    assert {each.shares for each in first_of(a_flow(), schedule, people=5)} == {0}
    learnt = first_of(a_flow(), schedule, after=1)
    assert 330 <= Counter(each.arm for each in learnt)["short"] <= 385  # 360, ± 4 standard deviations
    assert {(each.arm, round(each.propensity or 0, 6), each.shares) for each in learnt} == {
        ("short", 0.9, 1),
        ("long", 0.1, 1),
    }
    assert {(each.arm, each.shares) for each in first_of(a_flow(), schedule, people=50, after=3)} == {("long", 2)}


def test_each_passage_draws_anew_and_the_same_passage_always_the_same() -> None:
    shop = simulate(a_flow())
    for n in range(40):
        shop = shop.at(hours(n), VIEW)
    drawn = [each.arm for each in shop.decisions()]
    assert set(drawn) == {"short", "long"}
    assert drawn == [each.arm for each in shop.decisions()]


def test_conditions_have_shares_of_their_own_and_the_decision_says_which_held() -> None:
    by_context = {"": {"short": 1.0, "long": 0.0}, "is_new": {"short": 0.0, "long": 1.0}}
    schedule = Schedule([entry(1, START, 0.0, **by_context)])
    made = first_of(a_flow(subject(by=[is_new])), schedule, people=20)
    assert {(each.arm, each.context, each.propensity) for each in made} == {("long", "is_new", 1.0)}


@pytest.mark.parametrize(
    "shares",
    [{"": {"short": 1.0}}, {"": {"short": 0.5, "middle": 0.5}}, {"is_new": {"short": 1.0, "long": 0.0}}],
    ids=["an arm that came later", "an arm that is gone", "conditions that are gone"],
)
def test_what_was_learnt_of_another_form_of_the_choice_does_not_count(shares: dict[str, dict[str, float]]) -> None:
    schedule = Schedule([entry(1, START, 0.0, **shares)])
    assert {(each.propensity, each.shares) for each in first_of(a_flow(), schedule, people=20)} == {(0.5, 0)}


def test_an_arm_is_said_of_messages_after_a_wait_too_so_that_hours_can_be_learnt() -> None:
    when = choose(
        "hour",
        arm("soon", 50, wait("an_hour", hours(1)), send(SHORT)),
        arm("late", 50, wait("a_day", days(1)), send(SHORT), wait("again", days(1)), send(LONG)),
        learns=thompson("order"),
    )
    told = set()
    for n in range(20):
        shop = replace(simulate(a_flow(when)).at(hours(0), VIEW), customer_id=f"c{n}")
        told |= {(each.message, each.arm, each.propensity) for each in shop.decisions()}
    assert told == {("short", "soon", 0.5), ("short", "late", 0.5), ("long", "late", 0.5)}


def test_the_story_tells_the_arm_its_share_and_by_which_shares_it_was_drawn() -> None:
    by_context = {"": {"short": 0.5, "long": 0.5}, "is_new": {"short": 0.25, "long": 0.75}}
    schedule = Schedule([entry(1, START, 0.0, **by_context)])
    flow = a_flow(subject(by=[is_new]))
    shop = simulate(flow, schedule=schedule).at(hours(0), VIEW)
    [made] = shop.decisions()
    [told] = [each for each in shop.timeline() if each.what == "arm"]
    chance = {"short": "25", "long": "75"}[made.arm]
    assert (told.flow, told.name, told.detail) == ("test", "subject", made.arm)
    assert told.reason == f"{chance} %, by shares 1 where is_new"
    [unlearnt] = [each for each in simulate(flow).at(hours(0), VIEW).timeline() if each.what == "arm"]
    assert unlearnt.reason == "50 %, the flow's own shares"


def test_how_a_choice_learns_is_part_of_the_flows_version() -> None:
    one = choose("subject", arm("short", 50, send(SHORT)), arm("long", 50, send(LONG)), learns=thompson("order"))
    assert version(a_flow()) == version(a_flow(subject()))
    assert version(a_flow()) != version(a_flow(one))


def test_an_entry_that_does_not_follow_on_is_refused() -> None:
    schedule = Schedule([entry(1, START, 0.5)])
    for wrong in (entry(3, START + 1, 0.5), entry(2, START, 0.5)):
        with pytest.raises(ValueError, match="do not come after shares 1"):
            schedule.add(wrong)


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (
            lambda: a_flow(choose("x", arm("a", 50, send(SHORT)), arm("b", 50), learns=thompson())),
            r'arm "b" of choice "x" sends nothing',
        ),
        (lambda: a_flow(subject(by=[is_new, is_new])), "Name each condition once, and at most 6"),
        (lambda: choose("x", learns=thompson(), by=[lambda _, __: True]), "a condition without a name"),
        (lambda: a_flow(choose("x", arm("a", 60, send(SHORT)), learns=thompson())), "They must add up to 100"),
        (
            lambda: Program(
                [a_flow(), Flow("other", on(ProductAdded), [replace(_choice(), learns=thompson("order"))])]
            ),
            "has other arms or shares elsewhere",
        ),
        (lambda: thompson(rails=Rails(floor=0.6)), "it is a share, from 0 to 0.5"),
    ],
)
def test_a_choice_that_could_not_learn_is_refused_at_import(make: Any, fault: str) -> None:
    with pytest.raises(FlowError, match=fault):
        make()


def _choice() -> Choose[Event]:
    step = subject()
    assert isinstance(step, Choose)
    return step
