"""Flows edited while customers are inside: what happens to those parked, and to messages put off or under way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from operators.flow import Flow, Step, Template, days, hours, on, send, wait
from operators.guards import Rules
from state.customer import Customer
from state.decisions import Decision
from state.events import Event, ProductViewed
from state.messages import Channel, Delivery
from tests.operators.shards import DAY, HOUR, START, Desk, agrees, desk, identify, track

NIGHT = Rules(quiet_from=11 * 60, quiet_to=16 * 60)  # it is noon


def nothing(_: Event, __: Customer) -> Mapping[str, Any]:
    return {}


def message(name: str, channel: Channel = "email") -> Template[Event]:
    return Template(name, nothing, channel=channel)


OTHER = Flow("other", enter=on(ProductViewed), steps=[wait("long", days(9)), send(message("other"))])


def care(*steps: Step[Event]) -> Flow[Any]:
    return Flow("care", enter=on(ProductViewed), steps=list(steps))


def look(shop: Desk) -> None:
    shop.events(identify("anna"), agrees("anna"), track("anna", shop.wall.ms, "Product Viewed", product_id="p1"))


def told(shop: Desk) -> list[tuple[str, str, str]]:
    return [(each.message, each.channel, each.reason or each.outcome) for each in shop.decided("anna")]


def later(message_id: str, result: str) -> Delivery:
    at = "2026-01-05T12:00:01.000Z"
    return Delivery(message_id=message_id, at=at, attempt=1, provider="smtp", result=result)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("edited", "reason"),
    [(care(wait("a", hours(1)), send(message("new"))), "no_content"), (OTHER, "flow_stopped")],
)
def test_a_message_put_off_whose_send_was_edited_away_is_decided_and_does_not_vanish(
    tmp_path: Path, edited: Flow[Any], reason: str
) -> None:
    with desk(tmp_path, care(send(message("old"))), rules=NIGHT) as shop:
        look(shop)
    with desk(tmp_path, edited, rules=NIGHT) as shop:
        shop.clock_at(START + 5 * HOUR)
        assert told(shop) == [("old", "email", "quiet_hours"), ("old", "email", reason)]
        assert [each.flow for each in shop.decided("anna")] == ["care", "care"]
        shop.clock_at(START + DAY)
        assert len(told(shop)) == 2


def a_sent_one(shop: Desk) -> Decision:
    look(shop)
    [sent] = shop.decided("anna")
    assert sent.outcome == "send"
    return sent


@pytest.mark.parametrize("edited", [care(send(message("new"))), OTHER])
@pytest.mark.parametrize(("result", "after"), [("accepted", []), ("refused", []), ("deferred", ["retry"])])
def test_what_a_courier_tells_of_a_message_that_was_edited_away_is_taken_in(
    tmp_path: Path, edited: Flow[Any], result: str, after: list[str]
) -> None:
    with desk(tmp_path, care(send(message("old")))) as shop:
        sent = a_sent_one(shop)
    with desk(tmp_path, edited) as shop:
        shop.delivery("anna", later(sent.message_id, result))
        assert [each.reason for each in shop.decided("anna")] == ["", *after]
        shop.wall.ms += HOUR
        shop.clock_at(START + HOUR)
        last = shop.decided("anna")[-1]
        assert last.reason == ({"care": "no_content", "other": "flow_stopped"}[edited.name] if after else "")
        assert (last.message, last.channel, last.kind) == ("old", "email", "marketing")
