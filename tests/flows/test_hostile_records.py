"""Ten thousand records that are no events, between good ones, into a running worker."""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import cycle, islice

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.flows.running import Running, running, until
from tests.state.hostile import KEYS, Bad, bad, fixed, raw

BAD_COUNT = 10_000
DRAWN = 2_000
TOPICS = ("clickstream", "orders", "engagement")
PEOPLE = [f"c{n}" for n in range(150)]
NOW = datetime.now(UTC)
AT = NOW.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def drawn() -> list[Bad]:
    """Of the strategy's own making."""
    found: list[Bad] = []

    @settings(max_examples=DRAWN // 10, phases=[Phase.generate], database=None, suppress_health_check=[*HealthCheck])
    @given(st.lists(bad(NOW, PEOPLE), min_size=10, max_size=10))
    def collect(some: list[Bad]) -> None:
        found.extend(some)

    collect()
    return found


def bad_records() -> list[Bad]:
    """The fixed list once, what was drawn once, then both again under other keys, to the number."""
    known = [*fixed(AT), *drawn()]
    whose = cycle(person.encode() for person in PEOPLE)
    again = (Bad(next(whose), each.value) for each in cycle(known) if each.key not in (None, *KEYS))
    return [*known, *islice(again, BAD_COUNT - len(known))]


def life(person: str) -> list[bytes]:
    """Someone who signs up and fills a cart, strangely but validly."""
    words = {"channel": "email", "topic": "marketing", "proof": "[" * 50 + "\ufeff"}
    base = {"userId": person, "timestamp": AT}
    return [
        raw({**base, "messageId": f"{person}-1", "type": "identify", "traits": {"email": f"{person}@example.com"}}),
        raw({**base, "messageId": f"{person}-2", "type": "track", "event": "Consent Granted", "properties": words}),
        raw(
            {
                **base,
                "messageId": f"{person}-3",
                "type": "track",
                "event": "Product Added",
                "properties": {"product_id": 2**70, "price": "1e1", "name": "\U0001f9e6 \u202e"},
            }
        ),
    ]


def mixed(rng: random.Random) -> Iterator[tuple[str, bytes | None, bytes, bool]]:
    """Topic, key, value, and whether it is bad; the good ones of each person in their order, on one topic."""
    hostile = [(rng.choice(TOPICS), each.key, each.value, True) for each in bad_records()]
    lives = {person: life(person) for person in PEOPLE}
    order = [None] * len(hostile) + [person for person in PEOPLE for _ in lives[person]]
    rng.shuffle(order)
    for person in order:
        if person is None:
            yield hostile.pop()
        else:
            yield "clickstream", person.encode(), lives[person].pop(0), False


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("shop")) as worker:
        yield worker


def test_all_that_is_bad_is_set_aside_and_all_that_is_good_decided(shop: Running) -> None:
    pid = shop.beat()["pid"]
    rows = list(mixed(random.Random(7)))
    assert sum(is_bad for *_, is_bad in rows) == BAD_COUNT
    for topic in TOPICS:
        shop.append(topic, [(key, value) for where, key, value, _ in rows if where == topic])

    until(lambda: len(shop.records("dead-letters")) >= BAD_COUNT, "all that is bad is set aside", 30)
    until(lambda: shop.beat().get("parked", {}).get("abandoned_cart/cooling_off") == len(PEOPLE), "all carts wait")

    good = {(key, value) for _, key, value, is_bad in rows if not is_bad}
    sent = {
        (tp.topic, tp.partition, record.offset): record
        for topic in TOPICS
        for tp, record in shop.records(topic)
        if (record.key, record.value) not in good
    }
    letters = {(letter.topic, letter.partition, letter.offset): letter for letter in shop.dead_letters()}
    assert letters.keys() == sent.keys()
    assert len(letters) == BAD_COUNT
    for place, letter in letters.items():
        value = sent[place].value or b""
        assert letter.reason
        assert letter.reason != "flow_error"
        assert letter.error
        assert (letter.length, letter.sha256) == (len(value), hashlib.sha256(value).hexdigest())
        assert base64.b64decode(letter.bytes) == value[: 256 * 1024]

    decided = shop.decisions()
    assert sorted(told["customer"] for told in decided) == sorted(PEOPLE)
    assert {(told["message"], told["outcome"]) for told in decided} == {("welcome", "send")}
    assert shop.beat()["pid"] == pid
    assert not [line for line in shop.told() if line["event"] in ("died", "restarted", "cannot start")]
    status = shop.impuls("status", "--json")
    assert status.lines()[0]["processes"]["worker-0"]["pid"] == pid
