"""What a shard writes, when, and what it makes of a past it has been put back to."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from flows import messages
from flows.abandoned_cart import abandoned_cart
from flows.welcome import welcome
from operators import held
from operators.flow import Flow, hours, on, send, wait
from operators.host import is_wanted
from operators.retention import EVERY_MS, Keep
from state.carts import CartChanged, CartEvent
from state.customer import Customer
from state.events import ConsentGranted
from state.ids import Ids
from state.messages import Delivery
from state.records import TopicPartition
from tests.operators.shards import DAY, HOUR, MINUTE, START, TOPIC, agrees, desk, identify, message, track

ANNA = Ids(b"secret").customer(b"anna")


def cart(at: int, quantity: int = 1) -> dict[str, Any]:
    return track("anna", at, "Product Added", product_id="p1", cart_id="k1", quantity=quantity, price=20)


def accepted(message_id: str, attempt: int = 1) -> Delivery:
    return Delivery(
        message_id=message_id, at="2026-01-05T12:00:01.000Z", attempt=attempt, provider="smtp", result="accepted"
    )


def test_a_decision_and_its_message_are_in_the_outbox_together(tmp_path: Path) -> None:
    with desk(tmp_path, welcome) as shop:
        shop.events(identify("anna"), agrees("anna"))
        assert [decision.outcome for decision in shop.decided("anna")] == ["send"]
        assert [row.topic for row in shop.shard.store.outbox(-1, 10)] == ["decisions", "messages"]


def test_inputs_below_the_watermark_change_nothing(tmp_path: Path) -> None:
    with desk(tmp_path, welcome) as shop:
        shop.events(identify("anna"), agrees("anna"))
    with desk(tmp_path, welcome) as shop:
        shop.offsets.clear()  # the source begins again where another shard is
        shop.events(identify("anna"), agrees("anna"))
        assert len(shop.decided("anna")) == 1
        assert shop.shard.outbox.count == 2


def test_what_lay_before_the_first_start_is_not_yet_to_be_taken_in(tmp_path: Path) -> None:
    """`at = "latest"`: nobody is to see 14 records waiting in a partition that has had nothing since."""
    orders, clicks = TopicPartition("orders", 0), TopicPartition(TOPIC, 0)
    with desk(tmp_path, welcome) as shop:
        shop.shard.around = replace(shop.shard.around, origins={orders: 14, clicks: 3})
        assert shop.shard.watermarks() == {orders: 14, clicks: 3}
        shop.offsets[TOPIC] = 3
        shop.events(identify("anna"))
        assert shop.shard.watermarks() == {orders: 14, clicks: 4}


def test_no_wait_ends_before_the_clock_is_past_it(tmp_path: Path) -> None:
    with desk(tmp_path, abandoned_cart) as shop:
        shop.events(identify("anna"), agrees("anna"), cart(START))
        shop.clock_at(START + HOUR)
        assert shop.decided("anna") == []
        shop.clock_at(START + HOUR + 1)
        assert [decision.message for decision in shop.decided("anna")] == ["cart_reminder"]


def test_an_order_held_behind_a_wake_comes_after_it_also_when_the_worker_died_between(tmp_path: Path) -> None:
    with desk(tmp_path, abandoned_cart, wall=START + DAY) as shop:
        shop.events(identify("anna"), agrees("anna"), cart(START))
        shop.events(track("anna", START + 2 * HOUR, "Order Completed", order_id="o1", cart_id="k1"))
        assert shop.shard.held.count == 1
    with desk(tmp_path, abandoned_cart) as shop:
        assert shop.shard.held.count == 1
        shop.clock_at(START + 3 * HOUR)
        assert [decision.message for decision in shop.decided("anna")] == ["cart_reminder"]
        assert shop.shard.held.count == 0
        shop.clock_at(START + 30 * DAY)
        assert len(shop.decided("anna")) == 1, "the order ended the reminders"


def test_what_was_held_behind_a_wait_comes_at_once_when_the_wait_is_gone(tmp_path: Path) -> None:
    with desk(tmp_path, abandoned_cart, wall=START + DAY) as shop:
        shop.events(identify("anna"), agrees("anna"), cart(START))
        shop.events(track("anna", START + 2 * HOUR, "Product Viewed", product_id="p2"))
        assert shop.shard.held.count == 1
        shop.events(track("anna", START + HOUR // 2, "Order Completed", order_id="o1", cart_id="k1"))
        assert shop.shard.held.count == 0
        record = msgspec.msgpack.decode(shop.shard.store.customer(ANNA) or b"", type=Customer)
        assert (record.held, record.last_seen) == (0, START + 2 * HOUR)


def test_a_shard_says_when_it_holds_back_as_much_as_it_may(tmp_path: Path) -> None:
    with desk(tmp_path, abandoned_cart, wall=START + DAY) as shop:
        shop.events(identify("anna"), cart(START))
        views = [
            track("anna", START + 2 * HOUR + n, "Product Viewed", product_id="p1") for n in range(held.HELD_MAX - 1)
        ]
        shop.events(*views)
        assert not shop.shard.held.is_full
        shop.events(track("anna", START + 3 * HOUR, "Product Viewed", product_id="p1"))
        assert shop.shard.held.is_full
        shop.clock_at(START + 2 * HOUR)
        assert shop.shard.held.count == 0
        assert not shop.shard.held.is_full


def test_a_message_whose_result_is_known_is_not_published_again_by_a_shard_put_back(tmp_path: Path) -> None:
    with desk(tmp_path / "data", welcome) as shop:
        shop.events(identify("anna"), agrees("anna"))
    shutil.copytree(tmp_path / "data", tmp_path / "backup")
    with desk(tmp_path / "backup", welcome) as shop:
        decision, letter = shop.shard.store.outbox(-1, 10)
        assert is_wanted(shop.shard, letter)
        shop.delivery("anna", accepted(message(letter).message_id))
        assert not is_wanted(shop.shard, letter)
        assert is_wanted(shop.shard, decision), "readers drop a decision told twice"


def test_nobody_is_given_up_before_the_results_are_read(tmp_path: Path) -> None:
    with desk(tmp_path, welcome) as shop:
        shop.events(identify("anna"), agrees("anna"))
        [row] = shop.outbox("messages")
    with desk(tmp_path, welcome, wall=START + 30 * DAY) as shop:
        shop.clock_at(START + MINUTE, settled=False)
        shop.delivery("anna", accepted(message(row).message_id))
        shop.clock_at(START + MINUTE)
        record = msgspec.msgpack.decode(shop.shard.store.customer(ANNA) or b"", type=Customer)
        assert record.pending == []
        assert len(shop.decided("anna")) == 1


def test_a_result_nobody_told_is_unknown_in_the_end(tmp_path: Path) -> None:
    with desk(tmp_path, welcome) as shop:
        shop.events(identify("anna"), agrees("anna"))
        shop.wall.ms += 26 * HOUR
        shop.clock_at(START + 26 * HOUR)
        record = msgspec.msgpack.decode(shop.shard.store.customer(ANNA) or b"", type=Customer)
        assert record.pending == []


def test_decisions_taken_while_a_source_is_left_out_say_so(tmp_path: Path) -> None:
    with desk(tmp_path, abandoned_cart) as shop:
        shop.events(identify("anna"), agrees("anna"), cart(START))
        shop.clock_at(START + 2 * HOUR, stalled=True)
        assert [decision.stalled for decision in shop.decided("anna")] == [True]


def test_old_decisions_and_customers_long_unseen_are_forgotten(tmp_path: Path) -> None:
    keep = Keep(decisions_ms=10 * DAY, customers_ms=20 * DAY)
    with desk(tmp_path, welcome, keep=keep) as shop:
        shop.events(identify("anna"), agrees("anna"))
        [row] = shop.outbox("messages")
        shop.delivery("anna", accepted(message(row).message_id))
        shop.clock_at(START + 4 * DAY)  # welcome's second message is decided
        for _ in range(4):
            shop.wall.ms += 2 * EVERY_MS
            shop.clock_at(START + 4 * DAY)
        assert len(shop.decided("anna")) == 2
        shop.wall.ms = START + 12 * DAY
        for _ in range(4):
            shop.wall.ms += 2 * EVERY_MS
            shop.clock_at(START + 4 * DAY)
        assert [decision.message for decision in shop.decided("anna")] == ["welcome_picks"]
        assert shop.shard.store.customer(ANNA) is not None
        for row in shop.outbox("messages")[1:]:
            shop.delivery("anna", accepted(message(row).message_id))
        shop.wall.ms = START + 30 * DAY
        for _ in range(4):
            shop.wall.ms += 2 * EVERY_MS
            shop.clock_at(START + 4 * DAY)
        assert shop.shard.store.customer(ANNA) is None
        assert shop.shard.store.timers_count() == 0


def resting_flow() -> Flow[CartChanged]:
    return Flow(
        "patient",
        enter=on(CartChanged),
        per=CartEvent,
        steps=[wait("a_while", hours(1)), send(messages.cart_reminder)],
        while_stopped="rest",
    )


def test_customers_inside_a_stopped_flow_rest_until_it_is_started_again(tmp_path: Path) -> None:
    with desk(tmp_path, resting_flow()) as shop:
        shop.events(identify("anna"), agrees("anna"), cart(START))
        shop.breaker.ask({"patient"})
        shop.clock_at(START + 2 * HOUR)
        assert shop.decided("anna") == []
        shop.breaker.ask(set())
        shop.clock_at(START + 3 * HOUR)
        [decision] = shop.decided("anna")
        assert (decision.outcome, decision.at) == ("send", "2026-01-05T13:00:00.000Z")


def test_customers_inside_a_stopped_flow_go_on_and_get_nothing(tmp_path: Path) -> None:
    with desk(tmp_path, abandoned_cart) as shop:
        shop.events(identify("anna"), agrees("anna"), cart(START))
        shop.breaker.ask({"abandoned_cart"})
        shop.clock_at(START + 2 * HOUR)
        assert [decision.reason for decision in shop.decided("anna")] == ["flow_stopped"]


def test_the_first_consent_counts_whatever_the_order_of_batches(tmp_path: Path) -> None:
    with desk(tmp_path, welcome) as shop:
        shop.events(agrees("anna"))
        shop.events(identify("anna"))
        shop.events(agrees("anna", START + HOUR))
        assert [(decision.outcome, decision.reason) for decision in shop.decided("anna")] == [("skip", "no_address")]
        assert issubclass(welcome.enter.event, ConsentGranted)
