"""A provider that takes nothing is told of in the log: messages that wait until they expire tell nobody in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.answer import Answer
from connectors.outages import PLACES_MAX, TELL_SECONDS, Outages
from tests.connectors.channels import FcmHouse, House, SmsHouse
from tests.connectors.couriers import Shop, courier, message
from tests.connectors.http_servers import Asked, Says

GONE = "the provider takes no messages; they wait"
BACK = "the provider takes messages again"
OURS = ("channel", "provider", "endpoint", "fact")


class Watch:
    """Outages on a clock of the test."""

    def __init__(self) -> None:
        self.now = 0.0
        self.outages = Outages(lambda: self.now)

    def heard(self, *answers: Answer, provider: str = "json", **more: Any) -> None:
        for answer in answers:
            self.outages.heard(message(**{"channel": "sms", **more}), provider, answer)


def said(caplog: pytest.LogCaptureFixture) -> Iterator[tuple[str, dict[str, str]]]:
    for record in caplog.records:
        if record.message in (GONE, BACK):
            yield record.message, {key: value for key, value in record.__dict__.items() if key in OURS}


@pytest.fixture(autouse=True)
def _all_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "impuls.courier")


@pytest.mark.parametrize(("kind", "fact"), [(SmsHouse, "401"), (FcmHouse, "oauth 401")])
def test_a_login_that_is_refused_is_told_once_and_that_it_works_again(
    kind: type[House], fact: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house, shop = kind(tmp_path), Shop(tmp_path / "log")
    house.site.does = lambda asked: Says(401)
    shop.wants(*(house.message(number) for number in range(1, 4)))

    def lets_us_in() -> bool:
        if shop.left() == 0 and len(shop.told()) == 3:
            house.site.does = opened
            shop.wants(house.message(9))
        return any(each.message_id == "m9" for each in shop.told())

    def opened(asked: Asked) -> Says:
        return Says(200, b'{"access_token": "ya29", "expires_in": 3599, "token_type": "Bearer"}')

    with house.open() as provider:
        asyncio.run(courier(shop, {house.channel: provider}, lets_us_in))
    place = {"channel": house.channel, "provider": provider.name}
    assert list(said(caplog)) == [(GONE, {**place, "fact": fact}), (BACK, place)]
    assert next(each for each in caplog.records if each.message == GONE).levelno == logging.WARNING
    assert not [record for record in caplog.records if house.address in repr(record.__dict__)]


def test_an_open_circuit_is_told_with_what_opened_it(caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch()
    watch.heard(*[Answer("unknown", "500")] * 5)
    assert not list(said(caplog)), "each of these may pass"
    watch.heard(*[Answer("deferred", "circuit_open")] * 3)
    assert list(said(caplog)) == [(GONE, {"channel": "sms", "provider": "json", "fact": "500"})]


@pytest.mark.parametrize(
    "answer",
    [
        Answer("deferred", "429"),
        Answer("deferred", "503"),
        Answer("deferred", "400 21611"),
        Answer("deferred", "busy"),
        Answer("deferred", "stale"),
        Answer("refused", "404 UNREGISTERED", permanent_address=True),
        Answer("no_content", "4 segments"),
    ],
)
def test_what_is_about_one_message_or_one_moment_is_not_told(answer: Answer, caplog: pytest.LogCaptureFixture) -> None:
    Watch().heard(*[answer] * 20)
    assert not list(said(caplog))


@pytest.mark.parametrize("detail", ["403", "404 20404", "302", "oauth 400", "401 UNAUTHENTICATED"])
def test_what_is_ours_to_mend_is_told(detail: str, caplog: pytest.LogCaptureFixture) -> None:
    Watch().heard(Answer("deferred", detail))
    assert [fact["fact"] for _, fact in said(caplog)] == [detail]


def test_one_that_comes_and_goes_is_told_seldom(caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch()
    for _ in range(100):
        watch.heard(Answer("deferred", "401"), Answer("accepted"))
        watch.now += TELL_SECONDS / 50
    assert len([word for word, _ in said(caplog) if word == GONE]) == 2


def test_webhooks_are_told_by_endpoint_and_addresses_out_of_data_not_at_all(caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch()
    lost = Answer("deferred", "404")
    for number in range(2 * PLACES_MAX):
        watch.heard(lost, channel="webhook", address=f"https://c{number}.example/x", provider="webhook")
    assert not list(said(caplog))
    watch.heard(lost, channel="webhook", address="crm", provider="webhook")
    assert list(said(caplog)) == [(GONE, {"channel": "webhook", "endpoint": "crm", "fact": "404"})]
