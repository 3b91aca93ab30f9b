"""A wait until a moment that is computed: when it ends, what is told of it, and how it is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operators.draw import mermaid, told
from operators.flow import Flow, Moment, Template, hours, milliseconds, minutes, on, send, wait, wait_until
from operators.simulate import Simulation, Told, simulate
from operators.svg import svg
from state.customer import Customer
from state.events import Event, ProductViewed

VIEW = ProductViewed(product_id="p1")


def nothing(_: Event, __: Customer) -> Mapping[str, Any]:
    return {}


def an_hour_on(view: ProductViewed, _: Customer) -> int:
    return view.at + milliseconds(hours(1))


def two_hours_on(view: ProductViewed, _: Customer) -> int:
    return view.at + milliseconds(hours(2))


def at_once(view: ProductViewed, _: Customer) -> int:
    return view.at


def breaks(_: ProductViewed, __: Customer) -> int:
    raise KeyError


def rest(moment: Moment[ProductViewed]) -> Flow[ProductViewed]:
    then = wait_until("then", moment, at_most=hours(1))
    return Flow(
        "rest", enter=on(ProductViewed), steps=[wait("first", minutes(30)), then, send(Template("hint", nothing))]
    )


def viewed(moment: Moment[ProductViewed]) -> Simulation:
    return simulate(rest(moment)).at(hours(0), VIEW)


def test_a_computed_moment_is_waited_for_but_never_longer_than_at_most() -> None:
    assert viewed(an_hour_on).play_out() == [Told(hours(1), "hint")]
    assert viewed(two_hours_on).play_out() == [Told(minutes(90), "hint")]


def test_a_moment_that_has_passed_ends_the_wait_at_once() -> None:
    assert viewed(at_once).play_out() == [Told(minutes(30), "hint")]


def test_a_moment_whose_code_fails_is_set_aside_with_its_flow() -> None:
    [fault] = viewed(breaks).faults()
    assert (fault.flow, fault.wait) == ("rest", "first")


def test_a_computed_moment_is_drawn_by_its_name() -> None:
    assert "wait then: until two_hours_on, at most 1 h" in told(rest(two_hours_on))
    assert "then: until two_hours_on, at most 1 h" in mermaid(rest(two_hours_on))
    assert "until two_hours_on, at most 1 hour" in svg(rest(two_hours_on))


def test_the_timeline_names_the_moment_before_the_wait() -> None:
    whats = [(entry.what, entry.name) for entry in viewed(an_hour_on).timeline() if entry.flow == "rest"]
    assert whats[1:5] == [("parked", "first"), ("wait_ended", "first"), ("moment", "an_hour_on"), ("parked", "then")]
