"""Who may claim whom, and what is said to those who may not."""

from __future__ import annotations

import json

import pytest

from state.aliases import CLAIMERS_MAX
from state.claims import claimed, is_nobody, names_a_user
from tests.operators.shards import DAY, HOUR, MINUTE, START
from tests.operators.street import Street, identify, track

VIEW = track("Product Viewed", product_id="p1")


@pytest.mark.parametrize(
    "id",
    [
        *("null", "undefined", "NULL", " None ", "0", "-1", "anonymous", "guest", "NaN", "[object Object]", "", "  "),
        *("00000000-0000-0000-0000-000000000000", "0000000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    ],
)
def test_some_ids_stand_for_nobody(id: str) -> None:
    assert is_nobody(id)


@pytest.mark.parametrize("id", ["anna", "a-1", "10", "5f0c0000-0000-0000-0000-000000000000", "nullable", "user42"])
def test_others_are_somebody(id: str) -> None:
    assert not is_nobody(id)


@pytest.mark.parametrize(
    ("body", "key", "anonymous"),
    [
        ({"type": "identify", "userId": "k", "anonymousId": "a"}, None, "a"),
        ({"type": "alias", "userId": "k", "previousId": "a"}, b"k", "a"),
        ({"type": "identify", "userId": 7, "anonymousId": 8}, None, "8"),
        ({"type": "identify", "anonymousId": "a"}, b"a", ""),
        ({"type": "identify", "userId": "k", "anonymousId": "k"}, None, ""),
        ({"type": "identify", "userId": "k", "anonymousId": "null"}, None, ""),
        ({"type": "identify", "userId": "undefined", "anonymousId": "a"}, None, ""),
        ({"type": "identify", "userId": "k", "anonymousId": "a"}, b"a", ""),
        ({"type": "track", "event": "identify", "userId": "k", "anonymousId": "a"}, None, ""),
        ({"type": "alias", "previousId": "a", "anonymousId": "b"}, None, ""),
    ],
)
def test_only_identify_and_alias_of_somebody_known_claim(
    body: dict[str, object], key: bytes | None, anonymous: str
) -> None:
    assert claimed(json.dumps(body).encode(), key) == anonymous


def test_a_claim_is_seen_however_it_is_written() -> None:
    assert claimed(rb'{"t\u0079pe": "\u0069dentify", "userId": "k", "anonymousId": "a"}', None) == "a"
    assert names_a_user(rb'{"user\u0049d": "k"}')
    assert not names_a_user(b'{"userId": null, "anonymousId": "a"}')
    assert claimed(b"not json at all, but identify", None) == ""


def test_what_was_anonymous_becomes_known_at_the_moment_of_the_event() -> None:
    street = Street()
    street.happens(START, VIEW, anonymousId="a")
    street.happens(START + 1, identify(email="anna@example.com"), userId="anna", anonymousId="a")
    assert street.merges() == []
    street.happens(START + 2, VIEW, userId="anna")
    assert street.merges() == [("anna", "a")]
    assert street.who("anna").events == 3
    assert street.who("a").events == 0


def test_what_comes_later_goes_on_to_the_known_one() -> None:
    street = Street()
    street.happens(START, identify(), userId="anna", anonymousId="a")
    street.happens(START + 1, VIEW, anonymousId="a")
    street.happens(START + HOUR, VIEW, anonymousId="a")
    assert (street.who("anna").events, street.who("a").events) == (3, 0)


def test_to_say_it_again_is_not_to_claim_again() -> None:
    street = Street()
    for day in range(5):
        street.happens(START + day * DAY, identify(), userId="anna", anonymousId="a")
        street.happens(START + day * DAY + 1, VIEW, userId="anna")
    assert street.claims() == 1
    assert street.who("anna").events == 10


def test_whoever_is_known_is_nobodys_past() -> None:
    street = Street()
    street.happens(START, VIEW, userId="berta")
    street.happens(START + 1, {"type": "alias", "previousId": "berta"}, userId="anna")
    street.happens(START + 2, VIEW, userId="anna")
    assert street.refused() == [("anna", "berta", "known")]
    joined = street.who("anna").joined
    assert joined is not None
    assert joined.notes == {"berta": "known"}
    assert (street.who("anna").events, street.who("berta").events) == (2, 1)


def test_two_who_claim_one_another_both_stay_who_they_are() -> None:
    street = Street()
    street.happens(START, VIEW, anonymousId="a")
    street.happens(START + 1, {"type": "alias", "previousId": "b"}, userId="a")
    street.happens(START + 1, {"type": "alias", "previousId": "a"}, userId="b")
    street.happens(START + 2, VIEW, userId="a")
    street.happens(START + 2, VIEW, userId="b")
    assert sorted(street.refused()) == [("a", "b", "known"), ("b", "a", "known")]
    assert street.merges() == []
    assert (street.who("a").events, street.who("b").events) == (3, 2)


def test_an_alias_claims_nobody_and_stays_an_alias() -> None:
    street = Street()
    street.happens(START, identify(), userId="anna", anonymousId="a")
    street.happens(START + 1, VIEW, anonymousId="b")
    street.happens(START + 2, identify(), userId="a", anonymousId="b")
    street.happens(START + MINUTE, VIEW, anonymousId="b")
    street.happens(START + MINUTE, VIEW, userId="a")
    assert street.merges() == [("anna", "a")]
    assert (street.who("anna").events, street.who("a").events, street.who("b").events) == (3, 0, 2)
    assert not street.who("a").known


def test_a_device_that_several_use_is_whose_who_said_so_last() -> None:
    street = Street()
    street.happens(START, VIEW, anonymousId="d")
    for hour, name in enumerate(("anna", "berta", "anna"), 1):
        street.happens(START + hour * HOUR, identify(), userId=name, anonymousId="d")
        street.happens(START + hour * HOUR + MINUTE, VIEW, anonymousId="d")
    street.clock_at(START + DAY)
    assert street.merges() == [("anna", "d")]
    assert (street.who("anna").events, street.who("berta").events) == (5, 2)


def test_a_device_that_too_many_use_is_nobodys() -> None:
    street = Street()
    for number in range(CLAIMERS_MAX + 1):
        street.happens(START + number * HOUR, identify(), userId=f"k{number}", anonymousId="kiosk")
        street.happens(START + number * HOUR + MINUTE, VIEW, anonymousId="kiosk")
    street.happens(START + DAY, identify(), userId="k0", anonymousId="kiosk")
    street.happens(START + DAY + MINUTE, VIEW, anonymousId="kiosk")
    street.clock_at(START + 2 * DAY)
    assert street.refused()[0] == (f"k{CLAIMERS_MAX}", "kiosk", "shared")
    assert street.who("kiosk").events == 2
    assert street.who("k0").events == 3


def test_an_event_that_comes_under_both_ids_counts_once() -> None:
    street = Street()
    street.happens(START, {**VIEW, "messageId": "once"}, anonymousId="a")
    street.happens(START + 1, identify(), userId="anna", anonymousId="a")
    street.happens(START + MINUTE, {**VIEW, "messageId": "once"}, userId="anna")
    street.clock_at(START + HOUR)
    assert street.who("anna").events == 2
