"""The devices that show a customer's push messages: registered, removed, gone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from operators.flow import Flow, FlowError, Template, hours, on, send
from operators.guards import Rules
from operators.observe import DEVICES_MAX
from operators.simulate import Told, happening, simulate
from state.customer import Customer, Traits
from state.events import OrderCompleted, ProductViewed
from state.ids import Ids
from state.instants import format_instant
from state.messages import Delivery
from tests.operators.shards import HOUR, START, Desk, desk, identify, message, track

IDS = Ids(b"secret")
PHONE, TABLET = "token-of-a-telephone", "token-of-a-tablet"


def seen(event: ProductViewed, _: Customer) -> Mapping[str, Any]:
    return {"product": event.product_id}


push = Template("push", seen, channel="push")
views = Flow("views", enter=on(ProductViewed), steps=[send(push)])


def registered(token: str, at: int = START) -> dict[str, Any]:
    event = track("anna", at, "Device Registered", token=token)
    return {**event, "messageId": f"{token}-{at}"}


def consent() -> dict[str, Any]:
    return track("anna", START, "Consent Granted", channel="push", topic="marketing")


def view(at: int) -> dict[str, Any]:
    return track("anna", at, "Product Viewed", product_id="p1")


def devices(shop: Desk) -> dict[str, int]:
    return shop.shard.residents.entry(IDS.customer(b"anna"), "anna").customer.devices


def test_a_push_goes_to_every_device_the_newest_first(tmp_path: Path) -> None:
    with desk(tmp_path, views, wall=START + HOUR) as shop:
        shop.events(consent(), registered(PHONE), registered(TABLET, START + 1000), view(START + 2000))
        sent = message(shop.outbox("messages")[-1])
        assert (sent.channel, sent.address, sent.more) == ("push", TABLET, (PHONE,))


def test_a_device_comes_with_identify_as_mobile_trackers_send_it(tmp_path: Path) -> None:
    who = identify("anna")
    who["context"] = {"device": {"token": PHONE, "type": "android"}, "locale": "pl-PL"}
    with desk(tmp_path, views, wall=START + HOUR) as shop:
        shop.events(who)
        assert devices(shop) == {PHONE: START}


@pytest.mark.parametrize("device", [None, "x", 7, [], {}, {"token": 7}, {"token": "a b"}, {"token": "x" * 5000}])
def test_a_strange_device_is_no_reason_to_lose_who_she_is(tmp_path: Path, device: object) -> None:
    who = identify("anna")
    who["context"] = {"device": device}
    with desk(tmp_path, views, wall=START + HOUR) as shop:
        shop.events(who)
        assert devices(shop) == {}
        entry = shop.shard.residents.entry(IDS.customer(b"anna"), "anna")
        assert entry.customer.traits.email == "anna@example.com"


def test_a_device_that_was_removed_gets_nothing_more_until_it_is_back(tmp_path: Path) -> None:
    removed = track("anna", START + 1000, "Device Removed", token=PHONE)
    with desk(tmp_path, views, wall=START + HOUR) as shop:
        shop.events(consent(), registered(PHONE), removed, view(START + 2000))
        assert [(row.outcome, row.reason) for row in shop.decided("anna")] == [("skip", "no_address")]
        shop.events(registered(PHONE, START + 3000))
        assert PHONE in devices(shop)
        late = {**removed, "messageId": "told again"}
        shop.events(late)
        assert PHONE in devices(shop), "it was registered after that"


def test_only_so_many_devices_are_kept_the_newest(tmp_path: Path) -> None:
    with desk(tmp_path, views, wall=START + HOUR) as shop:
        shop.events(*(registered(f"device-{n:02}", START + n) for n in range(DEVICES_MAX + 3)))
        assert sorted(devices(shop)) == [f"device-{n:02}" for n in range(3, DEVICES_MAX + 3)]


def test_a_device_that_its_provider_calls_gone_is_taken_off(tmp_path: Path) -> None:
    with desk(tmp_path, views, wall=START + HOUR) as shop:
        shop.events(consent(), registered(PHONE), registered(TABLET, START + 1000), view(START + 2000))
        sent = message(shop.outbox("messages")[-1])
        told = Delivery(
            message_id=sent.message_id,
            at=format_instant(START + HOUR),
            attempt=1,
            provider="fcm",
            result="accepted",
            gone=(IDS.address(PHONE),),
        )
        shop.delivery("anna", told)
        assert devices(shop) == {TABLET: START + 1000}
        shop.wall.ms += HOUR
        shop.events(registered(PHONE, START + 2 * HOUR))
        shop.delivery("anna", told)
        assert sorted(devices(shop)) == sorted([PHONE, TABLET]), "it was registered again since"


def test_when_all_are_gone_another_way_is_taken(tmp_path: Path) -> None:
    flow = Flow("views", enter=on(ProductViewed), steps=[send(push, otherwise=Template("mail", seen))])
    with desk(tmp_path, flow, wall=START + HOUR) as shop:
        yes = track("anna", START + 1, "Consent Granted", channel="email", topic="marketing")
        shop.events(identify("anna"), consent(), yes, registered(PHONE), view(START + 2000))
        sent = message(shop.outbox("messages")[-1])
        gone = (IDS.address(PHONE),)
        at = format_instant(START + HOUR)
        refused = Delivery(
            message_id=sent.message_id, at=at, attempt=1, provider="fcm", result="refused", detail="404", gone=gone
        )
        shop.delivery("anna", refused)
        shop.clock_at(START + HOUR)
        assert message(shop.outbox("messages")[-1]).template == "mail"
        assert devices(shop) == {}


# -- webhooks, which go to somebody else


def order(event: OrderCompleted, _: Customer) -> Mapping[str, Any]:
    return {"order_id": event.order_id}


def partner(event: OrderCompleted, _: Customer) -> str:
    return "https://partner.example/hooks" if event.order_id == "o1" else ""


def test_a_webhook_goes_to_an_endpoint_or_to_the_address_that_the_event_brings() -> None:
    named = Template("to_crm", order, channel="webhook", kind="transactional", to="crm")
    found = Template("to_partner", order, channel="webhook", kind="transactional", to=partner)
    flow = Flow("orders", enter=on(OrderCompleted), steps=[send(named), send(found)])
    first = simulate(flow).who_is(Traits()).at(hours(0), happening("Order Completed", order_id="o1"))
    assert first.play_out() == [Told(hours(0), "to_crm"), Told(hours(0), "to_partner")]
    other = simulate(flow).who_is(Traits()).at(hours(0), happening("Order Completed", order_id="o2"))
    assert other.decided() == [Told(hours(0), "to_crm"), Told(hours(0), "to_partner", "skip", "no_address")]


def test_a_webhook_says_where_it_goes_and_nothing_else_does() -> None:
    with pytest.raises(FlowError, match="a webhook goes to an endpoint"):
        Template("to_crm", order, channel="webhook")
    with pytest.raises(FlowError, match="email goes to the customer"):
        Template("mail", order, to="crm")


@pytest.mark.parametrize("allowed", ["anna@example.com", "+48600100200"])
def test_in_trials_people_are_reached_on_every_channel_by_whichever_address_is_allowed(
    tmp_path: Path, allowed: str
) -> None:
    rules = Rules(send_mode="only", allow=frozenset({allowed}))
    with desk(tmp_path, views, wall=START + HOUR, rules=rules) as shop:
        who = identify("anna")
        who["traits"]["phone"] = "+48 600 100 200"
        shop.events(who, consent(), registered(PHONE), view(START + 2000))
        assert len(shop.outbox("messages")) == 1
        stranger = identify("berta")
        yes = track("berta", START, "Consent Granted", channel="push", topic="marketing")
        hers = {**track("berta", START, "Device Registered", token=TABLET)}
        shop.events(stranger, yes, hers, track("berta", START + 5, "Product Viewed", product_id="p1"))
        assert [row.outcome for row in shop.decided("berta")] == ["send"]
        assert len(shop.outbox("messages")) == 1
