"""Records that are no events, each bad by the way it is made: a fixed list, and a strategy for many more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from hypothesis import strategies as st

Json = dict[str, Any]


class Bad(NamedTuple):
    key: bytes | None
    value: bytes


def good(at: str, customer: str = "anna") -> Json:
    """An event that would be taken, were it not for what is done to it."""
    return {
        "type": "track",
        "event": "Product Added",
        "messageId": f"hostile-{customer}",
        "userId": customer,
        "timestamp": at,
        "context": {"timezone": "Europe/Warsaw", "locale": "pl-PL"},
        "properties": {"product_id": "p1", "price": 19.99, "quantity": 1, "currency": "PLN", "cart_id": "k1"},
    }


def raw(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()


def changed(body: Json, place: str, value: Any) -> Json:
    """The event with another value at `field` or `properties.field`."""
    *above, last = place.split(".")
    if above:
        return {**body, above[0]: {**body[above[0]], last: value}}
    return {**body, last: value}


CONTROL = "a\u0000b"
LONG = "x" * 257
WRONG: dict[str, list[Any]] = {
    "type": [None, 5, True, [], {}, "", "Track", "tracks", LONG],
    "event": [None, 5, False, [], {}, "", LONG],
    "messageId": [1.5, True, [], {}, CONTROL, LONG, "a\u2028b"],
    "timestamp": [
        *(None, 5, True, [], {}, "", "now", "2026", "1970-01-01T00:00:00.000Z", "1999-12-31T23:59:59.999Z"),
        *("9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00+23:59", "2026-01-05T12:00:00.000", "2026-01-05"),
        *("2026-12-31T23:59:60.000Z", "2026-02-30T00:00:00.000Z", "2026-01-05T25:00:00.000Z", "2026-W60-1T00:00:00Z"),
        *("2026-01-05T12:00:00.000+25:00", "2026-01-05T12:00:00.000z", "٢٠٢٦-٠١-٠٥T١٢:٠٠:٠٠.٠٠٠Z", "1767614400000"),
        *("2026-01- 5T12:00:00.000Z", "2026-01-05T12:00:00.000Z" * 100),
    ],
    "context": [5, "", [], True],
    "properties": [None, 5, "", [], True],
    "properties.product_id": [None, "", True, [], {}, CONTROL, LONG],
    "properties.price": [-1, "-0.01", "NaN", "Infinity", "1e400", 1e30, 2**64, "9" * 70, "1_0", "ten", True, [], {}],
    "properties.quantity": [-1, 1.5, 10**6 + 1, 2**64, "1e99", "NaN", "many", True, [], {}],
    "properties.currency": ["PL", "ZLOTY", "P1N", True, [], {}],
    "properties.cart_id": [True, [], {}, CONTROL, LONG],
}
NO_IDS: list[Any] = [True, 1.5, [], {}, CONTROL, LONG]
KEYS = [b"\xff\xfe", b"\xc3(", b"a\x00b", b"\n", b"k" * 257, "a\u2028b".encode(), bytes(range(128, 256))]


def fixed(at: str) -> list[Bad]:
    """What has broken readers before."""
    body = good(at)
    whole = raw(body)
    found = [Bad(b"anna", raw(changed(body, place, value))) for place, values in WRONG.items() for value in values]
    found += [Bad(key, whole) for key in KEYS]
    found += [Bad(None, raw(changed(body, "userId", value))) for value in NO_IDS]
    found.append(Bad(None, raw({name: value for name, value in body.items() if name != "userId"})))
    found.append(Bad(None, raw({**body, "userId": LONG, "anonymousId": "a-1"})))
    values: list[bytes] = [
        *(b"", b"null", b"[]", b"{}", b"5", b'"track"', b"true", b"NaN", b"\x00", b"\xff", b"{", b"}", b"[" * 30_000),
        *(b"\xef\xbb\xbf" + whole, whole.decode().encode("utf-16"), whole + whole, whole + b"\x00", whole[:-1]),
        whole.replace(b"19.99", b"NaN"),
        whole.replace(b"19.99", b"Infinity"),
        whole.replace(b"19.99", b"1e400"),
        whole.replace(b"19.99", b"0x10"),
        whole.replace(b"19.99", b"01"),
        whole.replace(b'"p1"', b"1e400"),
        whole.replace(b'"p1"', b'"\\ud800"'),
        whole.replace(b'"p1"', b'"\\udc00\\ud800"'),
        whole.replace(b'"p1"', b'"\xed\xa0\x80"'),
        whole.replace(b'"p1"', b'"\xff"'),
        whole.replace(b'"p1"', b"'p1'"),
        whole.replace(b'"type"', b"type"),
        whole.replace(b'"type": "track"', b'"type": "track", "type": "nothing"'),
        whole[:-1] + b', "more": "' + b"x" * 32_768 + b'"}',
        whole[:-1] + b', "more": ' + b"[" * 33 + b"]" * 33 + b"}",
        whole[:-1] + b', "more": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}",
        whole[:-1] + b', "more": "' + b"]" * 5_000 + b'", "deep": ' + b"[" * 900 + b"]" * 900 + b"}",
        b"x" * 300_000,
    ]
    return found + [Bad(b"anna", value) for value in values]


def bad(now: datetime, customers: list[str]) -> st.SearchStrategy[Bad]:
    """Any bad record; most are keyed by these customers, so that they come between what is good of theirs."""
    at = now.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    people = st.sampled_from(customers)
    bodies = people.map(lambda customer: good(at, customer))
    places = st.sampled_from([(place, value) for place, values in WRONG.items() for value in values])
    times = st.one_of(
        st.datetimes(datetime(1, 1, 2), datetime(1999, 12, 31)).map(lambda t: t.isoformat() + "Z"),
        st.datetimes(now.replace(tzinfo=None) + timedelta(hours=25), datetime(9999, 1, 1)).map(
            lambda t: t.isoformat() + "Z"
        ),
        st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(lambda t: t.isoformat()),
    )
    too_long = st.integers(257, 5_000).map(lambda n: "é" * n)
    control = st.characters(categories=["Cc", "Zl", "Zp", "Co", "Cn"]).map(lambda c: f"id{c}")
    texts = st.sampled_from(["messageId", "properties.product_id", "properties.cart_id"])
    values = st.one_of(
        st.builds(lambda body, wrong: raw(changed(body, *wrong)), bodies, places),
        st.builds(lambda body, time: raw(changed(body, "timestamp", time)), bodies, times),
        st.builds(lambda body, place, text: raw(changed(body, place, text)), bodies, texts, too_long | control),
        # Any beginning of a JSON object that is not the whole of it.
        st.builds(lambda body, part: raw(body)[: int(part * (len(raw(body)) - 1))], bodies, st.floats(0, 1)),
        st.binary(max_size=300).map(lambda noise: b"\x80" + noise),
        st.builds(
            lambda body, depth, pair: raw(body)[:-1] + b',"x":' + pair[0] * depth + b"1" + pair[1] * depth + b"}",
            bodies,
            st.integers(33, 3_000),
            st.sampled_from([(b"[", b"]"), (b'{"a":', b"}")]),
        ),
        st.builds(
            lambda body, size: raw(changed(body, "properties.name", "n" * size)), bodies, st.integers(32_768, 60_000)
        ),
        st.builds(
            lambda body, noise: raw(body).replace(b'"p1"', b'"' + noise + b'"'),
            bodies,
            st.sampled_from([b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\\ud83d", b"\\udead x"]),
        ),
        st.builds(
            lambda body, number: raw(body).replace(b"19.99", number),
            bodies,
            st.integers(16, 6_000).map(lambda n: b"9" * n) | st.integers(31, 10**9).map(lambda n: b"1e%d" % n),
        ),
    )
    keyed = st.builds(Bad, people.map(str.encode), values)
    return st.one_of(*[keyed] * 9, st.builds(lambda key, body: Bad(key, raw(body)), st.sampled_from(KEYS), bodies))
