"""The decoder at the door: takes what is an event, tells what is not, and neither raises, nor talks, nor dawdles."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from time import thread_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state import event_codec
from state.decode import DEPTH_MAX, SIZE_MAX, Decoder, Rejected, peek, peek_customer, peek_time
from state.events import EmailOpened, Event, Identified, OrderCompleted, ProductAdded, Tracked
from state.instants import format_instant, parse_instant
from state.money import Money
from tests.state.hostile import WRONG, Bad, bad, changed, fixed, good, raw

TODAY = datetime(2026, 1, 5, 12, tzinfo=UTC)
NOW = parse_instant("2026-01-05T12:00:00Z")
DAY = 86_400_000


def decoded(value: bytes | None, key: bytes | None = b"anna", now: int = NOW, **how: Any) -> Event | Rejected:
    return Decoder("PLN").decode(value, key=key, topic="clickstream", partition=3, offset=7, now=now, **how)


def event(**changes: Any) -> bytes:
    return raw({**good("2026-01-05T12:00:00.000Z"), **changes})


@pytest.mark.parametrize("record", fixed("2026-01-05T12:00:00.000Z"), ids=lambda bad: repr(bad.value)[-40:])
def test_what_has_broken_readers_before_is_set_aside(record: Bad) -> None:
    told = decoded(record.value, record.key)
    assert isinstance(told, Rejected)
    assert told.reason.isidentifier()
    assert told.error


@given(bad(TODAY, ["anna"]))
def test_whatever_is_bad_is_set_aside(record: Bad) -> None:
    assert isinstance(decoded(record.value, record.key), Rejected)


@given(st.binary(max_size=400), st.binary(max_size=40) | st.none())
def test_no_bytes_at_all_raise(value: bytes, key: bytes | None) -> None:
    assert isinstance(decoded(value, key), Event | Rejected)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
places = st.sampled_from([*WRONG, "userId", "anonymousId", "context.timezone", "context.locale", "properties.name"])


@given(places, json_values, st.sampled_from(["Product Added", "Order Completed", "Consent Granted", "Poem Read"]))
def test_a_strange_event_is_the_same_on_every_path(place: str, value: Any, name: str) -> None:
    """With the key a producer gave, with the one that is read from the body, and with none."""
    body = {**good("2026-01-05T12:00:00.000Z"), "event": name}
    try:
        record = json.dumps(changed(body, place, value)).encode()
    except UnicodeError:
        return
    told = decoded(record, None)
    assert decoded(record, peek_customer(record)) == told
    assert decoded(record, peek(record)[1]) == told
    if isinstance(told, Event):
        assert event_codec.decode(event_codec.encode(told)) == told
        assert peek(record) == (told.at, told.customer.encode())
        assert peek_time(record) == told.at


@given(places, st.sampled_from(["canary-7f3a", {"canary-7f3a": 1}, ["canary-7f3a"], "canary-7f3a" * 500]))
def test_an_error_never_echoes_what_was_read(place: str, value: Any) -> None:
    for record in (raw(changed(good("x"), place, value)), raw(changed(good("x"), place, value))[:-1]):
        told = decoded(record, b"canary-7f3a\xff")
        assert isinstance(told, Rejected)
        assert "canary" not in told.reason + told.error


def test_an_unknown_field_name_is_not_echoed_either() -> None:
    told = decoded(event(event="Poem Read").replace(b'"p1"', b'{"canary": 1e400}'))
    assert isinstance(told, Rejected)
    assert "canary" not in told.error


SHAPES: dict[str, Callable[[int], bytes]] = {
    "open brackets": lambda n: b"[" * n,
    "brackets in a text": lambda n: b'{"a":"' + b"[{" * (n // 2) + b'"}',
    "quotes never closed": lambda n: b"[" * 40 + b'"' + b'\\"' * (n // 2),
    "backslashes": lambda n: b"[" * 40 + b'"' + b"\\" * n,
    "many texts": lambda n: b"[" * 40 + b'"",' * (n // 3),
    "one long number": lambda n: event().replace(b"19.99", b"9" * n),
    "one long exponent": lambda n: event().replace(b"19.99", b"1e" + b"9" * n),
    "a long text for a number": lambda n: event().replace(b"19.99", b'"' + b"9" * n + b'"'),
    "a long time": lambda n: event(timestamp="2" * n),
    "one field many times": lambda n: b"{" + b'"userId":"u",' * (n // 13) + event()[1:],
    "many fields": lambda n: event(event="X", properties={f"f{i}": i for i in range(n // 16)}),
    "many products": lambda n: event(
        event="Order Completed", properties={"products": [{"product_id": "p"}] * (n // 22)}
    ),
    "long ids": lambda n: event(messageId="é" * (n // 8)),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_four_times_the_bytes_take_no_more_than_a_few_times_as_long(shape: str) -> None:
    def seconds(size: int) -> float:
        record = SHAPES[shape](size)
        assert len(record) <= SIZE_MAX
        times = []
        for _ in range(20):
            start = thread_time()  # of this thread alone, whoever else is at work on the machine
            decoded(record)
            times.append(thread_time() - start)
        return min(times)

    small, large = seconds(7_000), seconds(28_000)
    assert large < 12 * small + 0.0005  # growing with the square would take sixteen times as long, and more


def test_a_text_full_of_brackets_is_not_deep() -> None:
    told = decoded(event(event="Product Added", properties={"product_id": "p1", "name": "[" * 200 + '\\"{' * 99}))
    assert isinstance(told, ProductAdded)


def test_as_deep_as_allowed_is_taken_and_one_deeper_is_not() -> None:
    def nested(levels: int) -> bytes:
        return event(event="X").replace(b'"p1"', b"[" * (levels - 2) + b"]" * (levels - 2))

    assert isinstance(decoded(nested(DEPTH_MAX)), Tracked)
    assert decoded(nested(DEPTH_MAX + 1)) == Rejected("too_deep", "the record nests more than 32 levels")


@pytest.mark.parametrize(
    ("written", "minor"),
    [
        ("19.99", 1999),
        ('"19.99"', 1999),
        ("20", 2000),
        ("0", 0),
        ("1e2", 10_000),
        ("0.1", 10),
        ("19.995", 2000),
        ("19.985", 1998),
        ("0.005", 0),
        ("70368744177.67", 7_036_874_417_767),
    ],
)
def test_money_is_exact(written: str, minor: int) -> None:
    told = decoded(event().replace(b"19.99", written.encode()))
    assert isinstance(told, ProductAdded)
    assert told.price == Money(minor, "PLN")


def test_a_number_too_long_to_be_read_is_refused_and_never_cut() -> None:
    assert isinstance(decoded(event().replace(b"19.99", b'"' + b"0" * 70 + b'19.99"')), Rejected)


@pytest.mark.parametrize(
    "text",
    [
        *("2026-01-05T12:00:00.000Z", "2026-01-05T12:00:00Z", "2026-01-05T13:00:00.000+01:00", "20260105T120000Z"),
        *("2026-W02-1T12:00:00Z", "2026-01-05 12:00Z", "2026-01-05T12:00:00.000999Z", "2026-01-05T12:00:00,000Z"),
    ],
)
def test_one_moment_may_be_written_in_many_ways(text: str) -> None:
    told = decoded(event(timestamp=text))
    assert isinstance(told, ProductAdded)
    assert told.at == NOW


def test_an_event_from_a_clock_slightly_ahead_counts_as_now_but_on_replay_as_it_is() -> None:
    ahead = event(timestamp=format_instant(NOW + DAY))
    live, replayed = decoded(ahead), decoded(ahead, clock="replay")
    assert isinstance(live, Event)
    assert isinstance(replayed, Event)
    assert (live.at, replayed.at) == (NOW, NOW + DAY)
    assert isinstance(decoded(event(timestamp=format_instant(NOW + DAY + 1)), clock="replay"), Rejected)


def test_who_it_is_about_is_the_record_key_else_the_known_id_else_the_anonymous_one() -> None:
    body = event(userId="u", anonymousId="a")
    assert [_customer(decoded(body, b"k")), _customer(decoded(body, None))] == ["k", "u"]
    assert _customer(decoded(event(userId="", anonymousId="a"), b"")) == "a"
    assert _customer(decoded(event(userId=17), None)) == "17"


def test_an_event_without_an_id_is_known_by_its_place_in_the_log() -> None:
    told = decoded(event(messageId=None))
    assert isinstance(told, Event)
    assert told.id == "clickstream-3-7"


def test_what_identify_says_of_a_customer_is_kept() -> None:
    traits = {"email": " a@b.example ", "firstName": "Anna", "timezone": "Mars/Olympus", "plan": 2**70}
    told = decoded(raw({"type": "identify", "timestamp": "2026-01-05T12:00:00Z", "traits": traits}))
    assert isinstance(told, Identified)
    assert (told.email, told.first_name, told.time_zone) == ("a@b.example", "Anna", "")
    assert told.traits == {"plan": str(2**70)}


def test_an_order_is_worth_what_it_says_else_what_is_in_it() -> None:
    products = [{"product_id": "p1", "price": 19.99, "quantity": 2}, {"product_id": "p2", "price": "0.02"}]
    told = decoded(event(event="Order Completed", properties={"order_id": 7, "products": products}))
    assert isinstance(told, OrderCompleted)
    assert (told.order_id, told.total) == ("7", Money(4000, "PLN"))
    told = decoded(event(event="Order Completed", properties={"total": 5, "currency": "jpy", "products": products}))
    assert isinstance(told, OrderCompleted)
    assert told.total == Money(5, "JPY")


def _customer(told: Event | Rejected) -> str:
    assert isinstance(told, Event)
    return told.customer


def test_a_product_is_the_same_however_untidily_it_is_written() -> None:
    tidy = {"product_id": "17", "name": "Shoe" * 256, "price": 9.9, "cart_id": "4", "category": "", "url": "u" * 2048}
    untidy = {"sku": 17, "name": "Shoe" * 300, "price": "9.90", "cart_id": 4, "category": None, "url": "u" * 3000}
    told = decoded(event(properties=tidy))
    assert isinstance(told, ProductAdded)
    assert told == decoded(event(properties=untidy))
    for unreadable in ({"product_id": ""}, {"product_id": "a\x00"}, {"product_id": "1", "cart_id": "a\x00"}):
        assert isinstance(decoded(event(properties=unreadable)), Rejected)


@pytest.mark.parametrize(
    "where",
    [{"properties": {"user_agent": "Mozilla/5.0"}}, {"context": {"userAgent": "Mozilla/5.0"}, "properties": {}}],
)
def test_who_opened_a_mail_is_told_by_the_provider_or_by_the_context(where: dict[str, Any]) -> None:
    told = decoded(event(event="Email Opened", **where))
    assert isinstance(told, EmailOpened)
    assert told.user_agent == "Mozilla/5.0"


@pytest.mark.parametrize("agent", [7, None, {"a": 1}, []])
def test_an_open_with_a_strange_user_agent_is_an_open(agent: Any) -> None:
    told = decoded(event(event="Email Opened", context={"userAgent": agent}))
    assert isinstance(told, EmailOpened)
    assert told.user_agent == ""
