"""A traced customer is decided about as any other, and what is told of her is complete."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest

from flows.abandoned_cart import abandoned_cart
from flows.post_purchase import post_purchase
from flows.replenishment import replenishment
from flows.welcome import welcome
from operators.flow import (
    Flow,
    Template,
    arm,
    canary,
    days,
    experiment,
    hours,
    leave,
    minutes,
    on,
    send,
    split,
    wait,
    wait_for,
    when,
)
from operators.guards import GUARDS, Rules
from operators.simulate import Simulation, simulate
from operators.trace import Entry
from state.customer import Customer
from state.events import (
    ConsentGranted,
    ConsentWithdrawn,
    Event,
    OrderCancelled,
    OrderCompleted,
    OrderLine,
    ProductAdded,
    ProductRemoved,
    ProductViewed,
    Tracked,
)
from state.money import Money


def nothing(_: Event, __: Customer) -> Mapping[str, Any]:
    return {}


def is_a_shoe(viewed: ProductViewed, _: Customer) -> bool:
    return viewed.category == "shoes"


def has_ordered(_: Event, customer: Customer) -> bool:
    return customer.orders > 0


def breaks(viewed: ProductViewed, _: Customer) -> bool:
    raise KeyError(viewed.product_id)


nudge = Template("nudge", nothing)
thanks = Template("thanks", nothing, kind="transactional")
looked_at_shoes = Flow(
    "looked_at_shoes",
    enter=on(ProductViewed, where=is_a_shoe),
    leave=[on(ConsentWithdrawn)],
    priority=2,
    steps=[
        wait_for("hoping", on(OrderCompleted), within=hours(3), or_else=[send(nudge), leave]),
        experiment("after_sales", arm("a", 50, send(thanks)), arm("b", 50)),
        split(when(has_ordered, wait("resting", days(1)), send(nudge))),
    ],
)
PRODUCTS = [ProductAdded(product_id=f"p{n}", price=Money(n * 3000, "PLN"), cart_id=f"k{n % 2}") for n in range(1, 5)]
HAPPENINGS: list[Event] = [
    *PRODUCTS,
    ProductRemoved(product_id="p1", cart_id="k1"),
    ProductRemoved(product_id="p2", cart_id="k0"),
    OrderCompleted(order_id="o1", cart_id="k1"),
    OrderCompleted(order_id="o2"),
    OrderCompleted(products=(OrderLine("p1"), OrderLine("p2"))),
    OrderCancelled(order_id="o1"),
    ProductViewed(product_id="p1", category="shoes"),
    ProductViewed(product_id="p2", category="hats"),
    ConsentGranted(channel="email", topic="marketing"),
    ConsentWithdrawn(channel="email", topic="marketing"),
    Tracked(name="Sang a song"),
]


def history(seed: int) -> Simulation:
    chance = random.Random(seed)
    rules = Rules(
        cap=chance.choice([None, 1, 3]),
        cap_period=7 * 86_400_000,
        quiet_from=chance.choice([None, 21 * 60]),
        quiet_to=8 * 60,
        min_gap=chance.choice([0, 3_600_000]),
        holdout_percent=chance.choice([0, 20]),
    )
    life = simulate(abandoned_cart, welcome, looked_at_shoes, post_purchase, replenishment).under(rules)
    life = life.without_consent() if chance.random() < 0.3 else life
    for _ in range(chance.randint(3, 15)):
        life = life.at(minutes(chance.randint(0, 5000)), chance.choice(HAPPENINGS))
    return life


@pytest.mark.parametrize("seed", range(150))
def test_being_watched_changes_nothing(seed: int) -> None:
    life = history(seed)
    told = [(e.decision_id, e.outcome, e.reason) for e in life.timeline() if e.what == "decision"]
    assert told == [(each.decision_id, each.outcome, each.reason) for each in life.decisions()]


@pytest.mark.parametrize("seed", range(150))
def test_every_passage_that_began_ended_in_a_way_that_is_told(seed: int) -> None:
    entries = history(seed).timeline()
    inside: dict[tuple[str, str], str] = {}
    for entry in entries:
        place = entry.flow, entry.subject
        if entry.what in ("entered", "restarted"):
            assert (place in inside) == (entry.what == "restarted")
            inside[place] = entry.passage
        elif entry.what in ("left", "through"):
            assert inside.pop(place) == entry.passage
    assert not inside, "all waits were played out"


@pytest.mark.parametrize("seed", range(50))
def test_every_guard_is_told_of_and_the_first_that_speaks_decides(seed: int) -> None:
    entries = history(seed).timeline()
    for place, entry in enumerate(entries):
        if entry.what == "decision":
            said = entries[place - len(GUARDS) : place]
            assert [each.name for each in said] == [guard.__name__ for guard, _ in GUARDS]
            spoke = [each for each in said if each.verdict not in ("pass", "not asked")]
            assert (entry.outcome, entry.reason) == ((spoke[0].verdict, spoke[0].reason) if spoke else ("send", ""))


def whats(entries: list[Entry], flow: str) -> list[str]:
    return [entry.what for entry in entries if entry.flow == flow and entry.what != "guard"]


def test_a_false_condition_at_the_door_is_the_cause_of_not_entering() -> None:
    entries = simulate(looked_at_shoes).at(hours(0), ProductViewed(product_id="p", category="hats")).timeline()
    asked, stayed_out = entries[-2:]
    assert (asked.what, asked.name, asked.value) == ("condition", "is_a_shoe", False)
    assert (stayed_out.what, stayed_out.reason, stayed_out.detail) == ("not_entered", "condition", "is_a_shoe is false")
    assert stayed_out.subject == "", "her passage through it is one, whatever she looks at"


def test_an_event_that_was_waited_for_is_told_before_what_follows_from_it() -> None:
    shoes = ProductViewed(product_id="p", category="shoes")
    entries = simulate(looked_at_shoes).at(hours(0), shoes).at(hours(1), OrderCompleted(order_id="o")).timeline()
    told = [what for what in whats(entries, "looked_at_shoes") if what not in ("decision",)]
    assert told == ["condition", "entered", "parked", "came", "arm", "condition", "parked", "wait_ended", "through"]


def test_code_that_fails_is_told_with_where_it_failed() -> None:
    flow = Flow("broken", enter=on(ProductViewed), steps=[wait("a_while", hours(1)), split(when(breaks, send(nudge)))])
    entries = simulate(flow).at(hours(0), ProductViewed(product_id="secret")).timeline()
    assert whats(entries, "broken") == ["entered", "parked", "wait_ended", "condition", "flow_error"]
    assert "in breaks" in entries[-1].detail
    assert "secret" not in entries[-1].detail


def test_a_wait_that_only_a_canary_has_is_no_wait_that_is_gone() -> None:
    present = Flow("helped", enter=on(ProductViewed), steps=[wait("a_day", days(1)), send(nudge)])
    tried = Flow("helped", enter=on(ProductViewed), steps=[wait("an_hour", hours(1)), send(nudge)])
    entries = simulate(present, canary(tried, percent=100)).at(hours(0), ProductViewed(product_id="p")).timeline()
    [ended] = [entry for entry in entries if entry.what == "wait_ended"]
    assert (ended.name, ended.detail) == ("an_hour", "")


def test_a_closed_flow_takes_nobody_in_and_says_so() -> None:
    shut = Flow("shut", enter=on(ProductViewed), steps=[send(nudge)], closed=True)
    entries = simulate(shut).at(hours(0), ProductViewed(product_id="p")).timeline()
    assert [(entry.what, entry.reason) for entry in entries[1:]] == [("not_entered", "closed")]
