"""The commands about somebody who was anonymous first, beside two workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.flows.deployments import Deployment, running, until
from tests.flows.test_cli import HOUR, MINUTE, NO_LIMITS, ago

Json = dict[str, Any]


def said(number: int, at: str, ids: Json, event: str, **properties: Any) -> Json:
    body: Json = {"type": "track", "event": event, "properties": properties}
    if event == "identify":
        body = {"type": "identify", "traits": properties}
    return {**body, **ids, "messageId": f"m{number}", "timestamp": at}


ANONYMOUS, KNOWN = {"anonymousId": "a-1"}, {"userId": "anna"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A cart that was filled before its owner said who she is, and some claims that cannot be."""
    folder, options = tmp_path_factory.mktemp("shop"), ("--only", "worker", "--workers", "2")
    with running(folder, *options, settings=f"shards = 8\n{NO_LIMITS}") as deployment:
        assert deployment.stop() == 0
        deployment.import_events(
            said(1, ago(3 * HOUR), ANONYMOUS, "Consent Granted", channel="email", topic="marketing"),
            said(2, ago(95 * MINUTE), ANONYMOUS, "Product Added", product_id="p1", cart_id="k1", price=120),
            said(3, ago(80 * MINUTE), {**KNOWN, **ANONYMOUS}, "identify", email="anna@example.invalid"),
            said(4, ago(79 * MINUTE), ANONYMOUS, "Product Viewed", product_id="p2"),
            said(5, ago(78 * MINUTE), KNOWN, "Product Viewed", product_id="p3"),
            said(6, ago(70 * MINUTE), {"userId": "berta"}, "identify", email="berta@example.invalid"),
            said(7, ago(69 * MINUTE), {**KNOWN, "anonymousId": "berta"}, "identify"),
            said(8, ago(68 * MINUTE), {**KNOWN, "anonymousId": "null"}, "identify"),
        )
    with running(folder, *options, settings=f"shards = 8\n{NO_LIMITS}") as deployment:
        assert until(lambda: len(deployment.decisions("--flow", "abandoned_cart")) == 1), deployment.log()
        yield deployment


def test_what_she_left_in_her_cart_before_she_said_who_she_is_reaches_her(shop: Deployment) -> None:
    [reminder] = shop.decisions("--flow", "abandoned_cart")
    assert (reminder["customer"], reminder["message"], reminder["outcome"]) == ("anna", "cart_reminder", "send")


def test_she_is_shown_with_what_she_did_under_either_id(shop: Deployment) -> None:
    [anna] = shop.impuls("customer", "anna", "--json").lines()
    assert [(also["id"], also["state"]) for also in anna["also_known_as"]] == [("a-1", "merged")]
    assert anna["events"] == 7
    assert [cart["cart_id"] for cart in anna["carts"]] == ["k1"]
    assert anna["consents"]["email/marketing"]["granted"] is True
    assert {seen["value"] for seen in anna["windows"]["visit"]} == {"p2", "p3"}


def test_claims_that_cannot_be_are_written_down_with_their_reason(shop: Deployment) -> None:
    [anna] = shop.impuls("customer", "anna", "--json").lines()
    refused = {claim["id"]: claim["reason"] for claim in anna["refused_claims"]}
    assert refused == {"null": "nobody", "berta": "known"}
    [berta] = shop.impuls("customer", "berta", "--json").lines()
    assert berta["traits"]["email"] == "berta@example.invalid"


def test_who_asks_for_the_anonymous_id_is_told_whose_it_is(shop: Deployment) -> None:
    ended = shop.impuls("customer", "a-1", "--json")
    assert "a-1 is an alias of anna since " in ended.err
    [alias] = ended.lines()
    assert (alias["alias_of"], alias["carts"], alias["consents"]) == ("anna", [], {})


def test_her_decisions_are_also_those_from_before(shop: Deployment) -> None:
    rows = shop.decisions("--customer", "anna")
    assert [(row["customer"], row["message"], row["outcome"]) for row in rows] == [
        ("a-1", "welcome", "skip"),
        ("anna", "cart_reminder", "send"),
    ]


@pytest.mark.parametrize(
    ("customer", "words"),
    [
        ("anna", ("says that she was a-1 before", "what was known of a-1 is hers from here on")),
        ("anna", ("not taken for berta: that id is a known customer's", "null was not taken for her")),
        (
            "a-1",
            ("from here on she is anna", "a-1 is an alias of"),
        ),
    ],
)
def test_her_story_is_told_on_both_sides_as_the_store_has_it(
    shop: Deployment, customer: str, words: tuple[str, ...]
) -> None:
    told = shop.impuls("explain", customer, "--all").out
    assert "all as in the store" in told, told
    for each in words:
        assert each in told, told
