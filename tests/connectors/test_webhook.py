"""Outgoing webhooks: what receivers can rely on, and what no target can make us do."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from config.settings import Webhook
from connectors.answer import Answer
from connectors.lanes import TARGET_QUEUE_MAX, Provider
from connectors.webhook import TARGETS_MAX, WebhookProvider, derived, secret_bytes, signed
from state.messages import Message
from tests.connectors.channels import SECRET
from tests.connectors.couriers import Shop, courier, message
from tests.connectors.http_servers import Asked, FallSilent, Says, Site, http_server

OLD = "whsec_" + base64.b64encode(b"the secret of the year before it").decode()
WHEN = 1_795_514_400.9


def settings(**more: Any) -> Webhook:
    given = {"secrets": (SECRET,), "https_only": False, "private_networks": ("127.0.0.0/8",), "timeout_seconds": 2.0}
    return Webhook(**{**given, **more})


def webhook(number: int, to: str, **more: Any) -> Message:
    given: dict[str, Any] = {"channel": "webhook", "template": "order_placed", "address": to, "at": 1_795_514_000_123}
    return message(number, **{**given, "content": {"order": f"o{number}"}, **more})


def deliver(given: Webhook, *messages: Message, **more: Any) -> list[Answer]:
    async def all_of_them() -> list[Answer]:
        provider = WebhookProvider(given, 4, wall=lambda: WHEN, **more)
        try:
            return [await provider.deliver(each) for each in messages]
        finally:
            await provider.close()

    return asyncio.run(all_of_them())


def verifies(asked: Asked, secret: bytes, signature: str) -> bool:
    """As a receiver does it, by the specification."""
    content = f"{asked.headers['webhook-id']}.{asked.headers['webhook-timestamp']}.".encode() + asked.body
    version, _, value = signature.partition(",")
    expected = base64.b64encode(hmac.new(secret, content, "sha256").digest()).decode()
    return version == "v1" and hmac.compare_digest(expected, value)


def test_the_signature_is_that_of_the_specifications_own_example() -> None:
    secret = secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [secret])
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_endpoint_gets_what_happened_signed_with_every_secret() -> None:
    site = Site()
    with http_server(site) as port:
        given = settings(endpoints={"crm": f"http://127.0.0.1:{port}/in?v=1"}, secrets=(SECRET, OLD))
        assert deliver(given, webhook(1, "crm")) == [Answer("accepted")]
    [asked] = site.asked
    assert asked.path == "/in?v=1"
    assert asked.json == {"type": "order_placed", "timestamp": "2026-11-24T09:53:20.123Z", "data": {"order": "o1"}}
    assert (asked.headers["webhook-id"], asked.headers["webhook-timestamp"]) == ("m1", str(int(WHEN)))
    first, second = asked.headers["webhook-signature"].split(" ")
    assert verifies(asked, secret_bytes(SECRET), first)
    assert verifies(asked, secret_bytes(OLD), second)


def test_whoever_gets_webhooks_at_an_address_of_their_own_cannot_sign_for_others() -> None:
    site = Site()
    with http_server(site) as port:
        origin = f"http://127.0.0.1:{port}"
        assert deliver(settings(), webhook(1, f"{origin}/theirs"))[0].result == "accepted"
    [asked] = site.asked
    signature = asked.headers["webhook-signature"]
    assert not verifies(asked, secret_bytes(SECRET), signature)
    assert verifies(asked, derived(secret_bytes(SECRET), origin), signature)
    assert derived(secret_bytes(SECRET), origin) != derived(secret_bytes(SECRET), "https://other.example")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    inside = Site()
    with http_server(inside) as port:
        site = Site(lambda _: Says(status, headers={"Location": f"http://127.0.0.1:{port}/admin"}))
        with http_server(site) as outside:
            given = settings(endpoints={"crm": f"http://127.0.0.1:{outside}/"})
            assert deliver(given, webhook(1, "crm")) == [Answer("refused", f"{status} redirect")]
    assert inside.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://0.0.0.0/",
    ],
)
def test_a_target_inside_is_refused(url: str) -> None:
    assert deliver(Webhook(secrets=(SECRET,)), webhook(1, url)) == [Answer("refused", "private_address")]


@pytest.mark.parametrize(
    "url", ["https://2130706433/", "https://0x7f.1/", "https://0177.0.0.1/", "http://shop.example/"]
)
def test_a_target_in_odd_notation_or_in_the_clear_is_none(url: str) -> None:
    given = Webhook(secrets=(SECRET,))
    assert deliver(given, webhook(1, url)) == [Answer("refused", "bad_address", permanent_address=True)]


def test_a_name_that_points_inside_the_second_time_is_refused_then() -> None:
    """What was kept open is used again; a new connection is a new look."""
    answers = [["127.0.0.1"], ["10.0.0.1"]]

    async def resolve(host: str, port: int) -> Sequence[str]:
        return answers.pop(0)

    site = Site(lambda _: Says(200, headers={"Connection": "close"}))
    with http_server(site) as port:
        messages = [webhook(number, f"http://rebinds.example:{port}/") for number in range(2)]
        told = deliver(settings(), *messages, resolve=resolve)
    assert told == [Answer("accepted"), Answer("refused", "private_address")]


def test_an_endless_answer_is_read_no_further_than_its_bound() -> None:
    site = Site(lambda _: Says(200, b"x" * 5_000_000))
    with http_server(site) as port:
        began = time.monotonic()
        assert deliver(settings(), webhook(1, f"http://127.0.0.1:{port}/"))[0].result == "accepted"
    assert time.monotonic() - began < 2


def test_an_answer_that_comes_drop_by_drop_ends_with_its_time() -> None:
    site = Site(lambda _: Says(200, b"{", {"Content-Length": "1000000"}))
    with http_server(site) as port:
        began = time.monotonic()
        [answer] = deliver(settings(timeout_seconds=0.5), webhook(1, f"http://127.0.0.1:{port}/"))
    assert answer.result == "accepted", "its status had come"
    assert time.monotonic() - began < 2


def test_only_so_many_targets_are_remembered() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["10.0.0.1"]

    async def story() -> None:
        provider = WebhookProvider(Webhook(secrets=(SECRET,)), 4, resolve=resolve)
        for number in range(TARGETS_MAX + 50):
            assert (await provider.deliver(webhook(number, f"https://t{number}.example/"))).result == "refused"
        assert len(provider._callers) == TARGETS_MAX
        await provider.close()

    asyncio.run(story())


# -- one target and the others


def run(shop: Shop, provider: Provider, until: Any, **more: Any) -> None:
    asyncio.run(courier(shop, {"webhook": provider}, until, **more))


def test_a_silent_target_slows_no_other(tmp_path: Path) -> None:
    """A hundred messages for somebody who never answers stand before those for two who do."""

    def silent(_: Asked) -> Says:
        raise FallSilent

    slow, well, good = Site(silent), Site(), Site()
    shop = Shop(tmp_path / "log")
    with http_server(slow) as a, http_server(well) as b, http_server(good) as c:
        stuck = [webhook(number, f"http://127.0.0.1:{a}/") for number in range(TARGET_QUEUE_MAX + 100)]
        others = [webhook(port * 100 + n, f"http://127.0.0.1:{port}/") for n in range(25) for port in (b, c)]
        shop.wants(*stuck, *others)
        began = time.monotonic()

        def the_others_are_out() -> bool:
            if len(well.asked) < 25 or len(good.asked) < 25:
                return False
            assert time.monotonic() - began < 1.5, "they waited for the silent one"
            slow.closing.set()
            return True

        run(shop, WebhookProvider(settings(timeout_seconds=5.0), 4), the_others_are_out, concurrency=32)
        assert slow.under_way_max <= 4
    busy = [key for key, told in shop.results().items() if told == ["deferred: busy"]]
    assert len(busy) >= 90


def test_a_target_that_works_takes_a_backlog_at_its_own_speed(tmp_path: Path) -> None:
    site, shop = Site(), Shop(tmp_path / "log")
    with http_server(site) as port:
        provider = WebhookProvider(settings(timeout_seconds=10.0), 4)
        shop.wants(*(webhook(number, f"http://127.0.0.1:{port}/") for number in range(60)))
        run(shop, provider, lambda: shop.left() == 0)
    assert len({json.loads(each.body)["data"]["order"] for each in site.asked}) == 60
