"""Push messages: to every device of hers, and none to those that are gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from joserfc import jwt
from joserfc.jwk import RSAKey

from connectors.answer import Answer
from connectors.fcm import GRANT, SCOPE, BadServiceAccount, ServiceAccount
from connectors.lanes import Provider
from state.messages import Message
from tests.connectors.channels import DEVICE, FcmHouse, PushHouse, fcm_error, public_key, service_account
from tests.connectors.couriers import IDS, Shop, courier
from tests.connectors.http_servers import Asked, Says

OTHER = "another-telephones-token"
GRANTED = Says(200, b'{"access_token": "ya29", "expires_in": 3599, "token_type": "Bearer"}')


def fcm(folder: Path, does: Callable[[Asked], Says], *messages: Message) -> tuple[list[Answer], list[Asked]]:
    house = FcmHouse(folder)
    house.site.does = does

    async def all_of_them(provider: Provider) -> list[Answer]:
        try:
            return [await provider.deliver(each) for each in messages]
        finally:
            await provider.close()

    with house.open() as provider:
        return asyncio.run(all_of_them(provider)), house.site.asked


def granting(does: Callable[[Asked], Says]) -> Callable[[Asked], Says]:
    return lambda asked: GRANTED if asked.path == "/token" else does(asked)


def push(folder: Path, number: int = 1, **more: Any) -> Message:
    return PushHouse(folder).message(number, **more)


def test_firebase_is_asked_with_a_signed_assertion_and_then_spoken_to_in_its_own_form(tmp_path: Path) -> None:
    answers, asked = fcm(tmp_path, granting(lambda _: Says()), push(tmp_path, 1), push(tmp_path, 2))
    assert [each.result for each in answers] == ["accepted", "accepted"]
    assert [each.path for each in asked] == ["/token", *["/v1/projects/shop-1/messages:send"] * 2], "one token for both"
    form = parse_qs(asked[0].body.decode())
    assert form["grant_type"] == [GRANT]
    told = jwt.decode(form["assertion"][0], RSAKey.import_key(_pem()), algorithms=["RS256"])
    assert told.header == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    claims = told.claims
    assert claims["exp"] - claims["iat"] == 3600
    assert (claims["iss"], claims["scope"]) == ("push@shop-1.iam.example", SCOPE)
    assert claims["aud"].endswith("/token")
    assert asked[1].headers["authorization"] == "Bearer ya29"
    assert asked[1].json["message"] == {
        "token": DEVICE,
        "notification": {"title": "On its way", "body": "Order o1 is on its way."},
        "data": {"message_id": "m1", "link": "https://shop.example/orders/o1"},
        "android": {"notification": {"tag": "m1"}},
        "apns": {"headers": {"apns-collapse-id": "m1"}},
        "webpush": {"headers": {"Topic": "m1"}, "fcm_options": {"link": "https://shop.example/orders/o1"}},
    }


def _pem() -> bytes:
    return public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("says", "meant"),
    [
        (fcm_error(404, "NOT_FOUND", "UNREGISTERED"), Answer("refused", "404 UNREGISTERED", gone=(DEVICE,))),
        (
            fcm_error(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"),
            Answer("refused", "403 SENDER_ID_MISMATCH", gone=(DEVICE,)),
        ),
        (
            fcm_error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "message.token"),
            Answer("refused", "400 INVALID_ARGUMENT", gone=(DEVICE,)),
        ),
        (
            fcm_error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "message.data"),
            Answer("refused", "400 INVALID_ARGUMENT"),
        ),
        (fcm_error(404, "NOT_FOUND", ""), Answer("deferred", "404 NOT_FOUND")),
        (fcm_error(403, "PERMISSION_DENIED", ""), Answer("deferred", "403 PERMISSION_DENIED")),
        (fcm_error(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"), Answer("deferred", "429 QUOTA_EXCEEDED")),
        (fcm_error(503, "UNAVAILABLE", "UNAVAILABLE"), Answer("deferred", "503 UNAVAILABLE")),
        (fcm_error(500, "INTERNAL", "INTERNAL"), Answer("unknown", "500 INTERNAL")),
        (Says(404, b"<html>not found</html>"), Answer("deferred", "404")),
    ],
)
def test_what_firebase_answers_is_understood(tmp_path: Path, says: Says, meant: Answer) -> None:
    [answer], _ = fcm(tmp_path, granting(lambda _: says), push(tmp_path))
    assert answer == meant


def test_an_access_token_that_is_refused_is_changed_for_a_new_one(tmp_path: Path) -> None:
    def does(asked: Asked) -> Says:
        count.append(asked.path)
        if asked.path == "/token":
            return Says(200, json.dumps({"access_token": f"t{count.count('/token')}", "expires_in": 3599}).encode())
        return Says() if asked.headers["authorization"] == "Bearer t2" else fcm_error(401, "UNAUTHENTICATED", "")

    count: list[str] = []
    answers, _ = fcm(tmp_path, does, push(tmp_path, 1), push(tmp_path, 2))
    assert [each.result for each in answers] == ["deferred", "accepted"]


@pytest.mark.parametrize("says", [Says(400, b'{"error": "invalid_grant"}'), Says(200, b"nothing"), Says(503)])
def test_without_an_access_token_no_message_was_sent(tmp_path: Path, says: Says) -> None:
    [answer], asked = fcm(tmp_path, lambda _: says, push(tmp_path))
    assert answer.result == "deferred"
    assert answer.detail.startswith("oauth")
    assert {each.path for each in asked} == {"/token"}


def test_every_device_gets_it_and_those_that_are_gone_are_told(tmp_path: Path) -> None:
    def does(asked: Asked) -> Says:
        gone = asked.json["message"]["token"] == DEVICE
        return fcm_error(404, "NOT_FOUND", "UNREGISTERED") if gone else Says()

    [answer], asked = fcm(tmp_path, granting(does), push(tmp_path, more=(OTHER,)))
    assert answer == Answer("accepted", gone=(DEVICE,))
    assert {each.json["message"]["token"] for each in asked[1:]} == {DEVICE, OTHER}


def test_what_arrived_nowhere_is_tried_again_where_it_may_still_arrive(tmp_path: Path) -> None:
    def does(asked: Asked) -> Says:
        gone = asked.json["message"]["token"] == DEVICE
        return fcm_error(404, "NOT_FOUND", "UNREGISTERED") if gone else Says(503, headers={"Retry-After": "9"})

    [answer], _ = fcm(tmp_path, granting(does), push(tmp_path, more=(OTHER,)))
    assert answer == Answer("deferred", "503", retry_after_seconds=9, gone=(DEVICE,))


def test_what_is_told_of_a_device_is_its_hash(tmp_path: Path) -> None:
    house = FcmHouse(tmp_path / "house")
    house.folder.mkdir()
    house.manner = "knows nobody there"
    shop = Shop(tmp_path / "log")
    shop.wants(house.message(1))
    with house.open() as provider:
        asyncio.run(courier(shop, {"push": provider}, lambda: shop.left() == 0))
    [told] = shop.told()
    assert (told.result, told.gone) == ("refused", (IDS.address(DEVICE),))
    assert not any(DEVICE.encode() in (record.value or b"") for record in shop.records("deliveries"))


def test_a_link_that_is_no_web_address_is_not_sent(tmp_path: Path) -> None:
    answers, asked = fcm(tmp_path, granting(lambda _: Says()), push(tmp_path, content={"order": "o 1<script>"}))
    assert (answers, asked) == ([Answer("no_content", "its link is no web address")], [])


def test_a_file_that_is_no_service_account_is_named_at_the_start(tmp_path: Path) -> None:
    file = service_account(tmp_path, "https://oauth2.example/token")
    ServiceAccount.load(file)
    file.write_text(file.read_text().replace("PRIVATE KEY", "PUBLIC KEY"))
    with pytest.raises(BadServiceAccount, match="private_key"):
        ServiceAccount.load(file)
    file.write_text("{}")
    with pytest.raises(BadServiceAccount) as raised:
        ServiceAccount.load(file)
    assert "ValidationError" in str(raised.value)
