"""What messages recommended stands in the customer's record: once a message, until she comes to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from operators import merging
from operators.flow import Flow, Template, on, recommend, send
from operators.program import Program
from state.customer import Customer
from state.events import OrderCancelled, ProductViewed
from state.ids import Ids
from state.instants import format_instant
from state.messages import Delivery, Message
from state.products import Interest
from state.recommendations import Shown
from tests.operators.shards import DAY, HOUR, MINUTE, START, Desk, desk, identify, message, track

ANNA = Ids(b"secret").customer(b"anna")


def nothing(_: ProductViewed, __: Customer) -> Mapping[str, Any]:
    return {}


def nothing_more(_: OrderCancelled, __: Customer) -> Mapping[str, Any]:
    return {}


def flow_of(**more: Any) -> Flow[ProductViewed]:
    picks = Template("picks", nothing, kind="transactional", recommends=recommend("discover", 4), **more)
    return Flow("picks", enter=on(ProductViewed), steps=[send(picks)])


picks = flow_of()
once = flow_of(at_most_once=True)
# That somebody asks for orders is what lets them be remembered.
sorry = Flow("sorry", enter=on(OrderCancelled), steps=[send(Template("sorry", nothing_more, kind="transactional"))])


def wants(shop: Desk, product: str = "p1") -> Message:
    """She looks at something, and is to get a message with recommendations."""
    shop.events(identify("anna"), track("anna", shop.wall.ms, "Product Viewed", product_id=product))
    return message(shop.outbox("messages")[-1])


def told(shop: Desk, letter: Message, result: Any = "accepted", *shown: str) -> None:
    at = format_instant(shop.wall.ms)
    shop.delivery(
        "anna",
        Delivery(
            message_id=letter.message_id, at=at, attempt=letter.attempt, provider="smtp", result=result, shown=shown
        ),
    )


def record(shop: Desk) -> Customer:
    return msgspec.msgpack.decode(shop.shard.store.customer(ANNA) or b"", type=Customer)


def test_each_message_counts_once_and_tells_the_next_one(tmp_path: Path) -> None:
    with desk(tmp_path, picks) as shop:
        first = wants(shop)
        assert first.wanted is not None
        assert first.wanted.history.shown == {}
        assert b'"shown"' not in shop.outbox("messages")[-1].value
        for _ in range(2):
            told(shop, first, "accepted", "hat", "coat")
        shop.wall.ms += HOUR
        told(shop, wants(shop), "accepted", "hat")
        shop.wall.ms += HOUR
        last = wants(shop)
        assert last.wanted is not None
        shown = {"hat": Shown(2, START + HOUR), "coat": Shown(1, START)}
        assert last.wanted.history.shown == record(shop).shown == shown


def test_what_is_tried_again_counts_with_its_last_attempt(tmp_path: Path) -> None:
    with desk(tmp_path, picks) as shop:
        first = wants(shop)
        told(shop, first, "unknown", "hat", "coat")
        assert record(shop).shown == {}
        shop.wall.ms += MINUTE
        shop.clock_at(shop.wall.ms)
        again = message(shop.outbox("messages")[-1])
        assert (again.message_id, again.attempt) == (first.message_id, 2)
        told(shop, again, "accepted", "hat")
        told(shop, first, "accepted", "hat", "coat")
        assert record(shop).shown == {"hat": Shown(1, START + MINUTE)}


@pytest.mark.parametrize(("result", "times"), [("unknown", 1), ("refused", 0), ("no_content", 0)])
def test_what_may_have_arrived_counts(tmp_path: Path, result: str, times: int) -> None:
    with desk(tmp_path, once) as shop:
        told(shop, wants(shop), result, *["hat"] * times)
        assert [each.times for each in record(shop).shown.values()] == [1] * times


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("Product Viewed", {"product_id": "hat"}),
        ("Product Added", {"product_id": "hat"}),
        ("Order Completed", {"order_id": "o1", "products": [{"product_id": "hat"}, {"product_id": "shoes"}]}),
    ],
)
def test_who_comes_to_a_product_begins_anew_with_it(tmp_path: Path, event: str, said: dict[str, Any]) -> None:
    with desk(tmp_path, picks, sorry) as shop:
        told(shop, wants(shop), "accepted", "hat", "coat")
        shop.events(track("anna", START - DAY, event, **{**said, "order_id": "o0"}))
        assert set(record(shop).shown) == {"hat", "coat"}, "what she did long before"
        shop.wall.ms += MINUTE
        shop.events(track("anna", START + MINUTE, event, **said))
        assert set(record(shop).shown) == {"coat"}


def test_a_shard_put_back_counts_what_was_told_before_it_decided_again(tmp_path: Path) -> None:
    with desk(tmp_path / "then", picks) as shop:
        first = wants(shop)
        told(shop, first, "accepted", "hat")
        then = record(shop).shown
    with desk(tmp_path / "put back", picks, wall=START + HOUR) as shop:
        at = format_instant(START)
        early = Delivery(
            message_id=first.message_id, at=at, attempt=1, provider="smtp", result="accepted", shown=("hat",)
        )
        shop.delivery("anna", early)
        shop.events(identify("anna"), track("anna", START, "Product Viewed", product_id="p1"))
        assert shop.outbox("messages") == []
        assert record(shop).shown == then == {"hat": Shown(1, START)}


def test_it_is_sealed_and_goes_with_her(tmp_path: Path) -> None:
    with desk(tmp_path, picks) as shop:
        told(shop, wants(shop), "accepted", "a-hat-of-hers")
        assert b"a-hat-of-hers" in (shop.shard.store.customer(ANNA) or b"")
    assert not any(b"a-hat-of-hers" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    with desk(tmp_path, picks) as shop:
        shop.shard.store.erase(ANNA)
        assert shop.shard.store.customer(ANNA) is None


def test_more_than_a_message_can_show_is_not_believed(tmp_path: Path) -> None:
    with desk(tmp_path, picks) as shop:
        told(shop, wants(shop), "accepted", *map(str, range(1000)))
        assert len(record(shop).shown) == 64


def test_two_ids_of_one_customer_count_together_but_for_what_she_came_to_since() -> None:
    known = Customer(id="anna", shown={"hat": Shown(2, START), "coat": Shown(1, START), "tie": Shown(1, START)})
    other = Customer(
        id="a-1",
        shown={"hat": Shown(1, START + 5), "scarf": Shown(1, START)},
        interests={"coat": Interest(viewed_at=START + 1)},
        bought={"tie": [START + 1]},
    )
    merging.merge(known, other, Program([]))
    assert known.shown == {"hat": Shown(3, START + 5), "scarf": Shown(1, START)}


def test_records_and_results_from_before_are_read() -> None:
    fields: list[Any] = msgspec.msgpack.decode(msgspec.msgpack.encode(Customer(id="anna")))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(fields[:-1]), type=Customer).shown == {}
    before = b'{"message_id":"m","at":"2026-01-05T12:00:00.000Z","attempt":1,"provider":"smtp","result":"accepted"}'
    assert msgspec.json.decode(before, type=Delivery).shown == ()
    assert msgspec.json.encode(msgspec.json.decode(before, type=Delivery)) == before
