"""A flow drawn for people: all of it there, nothing over anything else, every word inside its box."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import pytest

from flows import FLOWS
from operators.flow import (
    Flow,
    Template,
    arm,
    days,
    experiment,
    hours,
    leave,
    on,
    send,
    split,
    wait,
    wait_for,
    when,
)
from operators.picture import TEXT_SIZE, TITLE_SIZE, Box, picture, text_width
from operators.svg import svg
from state.customer import Customer
from state.events import CartViewed, Event, OrderCompleted, ProductViewed


def nothing(_: Event, __: Customer) -> Mapping[str, Any]:
    return {}


def is_vip(_: Event, __: Customer) -> bool:
    return True


def lives_where_we_deliver_on_sundays_and_on_holidays_too(_: Event, __: Customer) -> bool:
    return True


def mail(name: str) -> Template[Event]:
    return Template(name, nothing)


big = Flow(
    "big",
    enter=on(ProductViewed, where=is_vip),
    leave=[on(OrderCompleted)],
    priority=3,
    steps=[
        wait("first", hours(1)),
        wait_for("hoping", on(CartViewed), within=days(2), or_else=[send(mail("missed")), leave]),
        experiment(
            "which",
            arm(
                "offer",
                60,
                split(
                    when(is_vip, send(mail("dear")), wait("rest", hours(6)), send(mail("call"))),
                    when(lives_where_we_deliver_on_sundays_and_on_holidays_too, send(mail("a_name_" * 9))),
                    otherwise=[send(mail("plain"))],
                ),
            ),
            arm("nothing", 40),
        ),
        wait("last", days(3)),
        send(mail("good_bye <&> so long")),
    ],
)
DRAWN = [*FLOWS, big]


@pytest.mark.parametrize("flow", DRAWN, ids=lambda flow: flow.name)
def test_no_box_lies_over_another_or_outside_of_the_picture(flow: Flow[Any]) -> None:
    drawn = picture(flow)
    for box in drawn.boxes:
        assert box.x - box.width / 2 >= 0
        assert box.x + box.width / 2 <= drawn.width
        assert box.y + box.height <= drawn.height
    for one, other in combinations(drawn.boxes, 2):
        beside = abs(one.x - other.x) >= (one.width + other.width) / 2
        below = one.y + one.height <= other.y or other.y + other.height <= one.y
        assert beside or below, (one, other)


def room(box: Box) -> float:
    badge = text_width(box.badge, TEXT_SIZE, bold=True) + 24 if box.badge else 0
    return box.width - (20 if box.kind in ("when", "arm", "leave", "end") else 54 + badge)


@pytest.mark.parametrize("flow", DRAWN, ids=lambda flow: flow.name)
def test_every_word_is_inside_of_its_box(flow: Flow[Any]) -> None:
    for box in picture(flow, {"first": 1_234_567, "cooling_off": 12}).boxes:
        size = TEXT_SIZE if box.kind in ("when", "arm", "leave", "end") else TITLE_SIZE
        if box.kind != "fork":
            assert text_width(box.title, size, bold=True) <= room(box)
            assert text_width(box.text, TEXT_SIZE) <= room(box)


@pytest.mark.parametrize("flow", DRAWN, ids=lambda flow: flow.name)
def test_every_line_ends_at_a_box_and_every_box_is_reached(flow: Flow[Any]) -> None:
    drawn = picture(flow)
    tops = {(box.x, box.y) for box in drawn.boxes}
    ends = {line.end for line in drawn.lines}
    assert ends <= tops
    assert tops - ends == {(drawn.boxes[0].x, drawn.boxes[0].y)}, "only the entry is where nobody comes from"


def words(flow: Flow[Any], **options: Any) -> str:
    root = ElementTree.fromstring(svg(flow, "0123456789ab", **options))
    return "\n".join("".join(element.itertext()) for element in root.iter() if element.tag.endswith(("text", "title")))


def test_waits_messages_conditions_arms_and_durations_are_all_named() -> None:
    told = words(big)
    names = (
        "Product Viewed",
        "where is_vip",
        "first",
        "1 hour",
        "hoping",
        "Cart Viewed came",
        "not come",
        "offer 60 %",
    )
    assert [name for name in (*names, "nothing 40 %", "otherwise", "good_bye <&> so long") if name not in told] == []
    assert "leaves on Order Completed" in told
    assert lives_where_we_deliver_on_sundays_and_on_holidays_too.__name__ in told, "whole in its tip"


def test_who_rests_where_is_counted_at_the_wait() -> None:
    told = words(big, parked={"first": 1204, "last": 3}, stopped=True)
    assert "1,204" in told
    assert "1,207 inside now" in told
    assert "stopped" in told


def test_the_picture_needs_nothing_from_elsewhere() -> None:
    drawn = svg(big)
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")
    assert "prefers-color-scheme: dark" in drawn
