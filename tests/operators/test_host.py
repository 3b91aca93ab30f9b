"""The publisher: what leaves the outboxes, in which order, and not before its time; over a real log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connectors.log import LogReader, LogWriter, create_topics
from flows.welcome import welcome
from operators.host import Publisher
from state import decisions
from state.messages import Delivery
from state.records import TopicPartition, TopicSpec
from tests.operators.shards import START, Desk, agrees, desk, identify, message

TOPICS = ("decisions", "messages", "dead-letters")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    create_topics(tmp_path / "log", [TopicSpec(topic, 1, 7) for topic in TOPICS])
    return tmp_path / "log"


@pytest.fixture
def writer(root: Path) -> Iterator[LogWriter]:
    writer = LogWriter(root)
    yield writer
    writer.close()


def published(root: Path, topic: str) -> list[bytes]:
    reader = LogReader(root)
    tp = TopicPartition(topic, 0)
    reader.assign({tp: 0})
    end, found = reader.ends([tp])[tp], list[bytes]()
    while len(found) < end:
        found += [record.value or b"" for fetched in reader.poll(10_000) for record in fetched.records]
    reader.close()
    return found


def until(holds: Callable[[], bool], publisher: Publisher, shop: Desk, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        publisher.turn()
        shop.shard.write()


def join(shop: Desk, number: int) -> None:
    shop.events(identify(f"c{number}"), agrees(f"c{number}"))


def test_nothing_leaves_before_the_results_of_couriers_are_read(tmp_path: Path, root: Path, writer: LogWriter) -> None:
    with desk(tmp_path / "data", welcome) as shop:
        publisher = Publisher(writer, power=False)
        publisher.add(shop.shard)
        join(shop, 1)
        publisher.publish(shop.shard)
        publisher.turn()
        assert writer.flush(5)
        assert published(root, "messages") == []
        shop.clock_at(START)
        until(lambda: shop.shard.outbox.count == 0, publisher, shop)
        assert len(published(root, "messages")) == 1


@pytest.mark.parametrize("power", [False, True])
def test_rows_leave_in_the_order_they_were_written(tmp_path: Path, root: Path, writer: LogWriter, power: bool) -> None:
    with desk(tmp_path / "data", welcome) as shop:
        publisher = Publisher(writer, power=power)
        publisher.add(shop.shard)
        for number in range(20):
            if number == 7:
                shop.clock_at(START)
            join(shop, number)
            publisher.publish(shop.shard)
            if number % 3 == 0:
                publisher.turn()
        until(lambda: shop.shard.outbox.count == 0, publisher, shop)
        told = [decisions.from_json(raw).customer for raw in published(root, "decisions")]
        assert told == [f"c{number}" for number in range(20)]
        assert publisher.in_flight == 0


def test_what_a_killed_worker_left_is_published_by_the_next(tmp_path: Path, root: Path, writer: LogWriter) -> None:
    with desk(tmp_path / "data", welcome) as shop:
        join(shop, 1)
    with desk(tmp_path / "data", welcome) as shop:
        publisher = Publisher(writer, power=False)
        publisher.add(shop.shard)
        shop.clock_at(START)
        until(lambda: shop.shard.outbox.count == 0, publisher, shop)
    assert len(published(root, "decisions")) == len(published(root, "messages")) == 1


def test_a_message_whose_result_was_read_meanwhile_does_not_leave_again(
    tmp_path: Path, root: Path, writer: LogWriter
) -> None:
    with desk(tmp_path / "data", welcome) as shop:
        join(shop, 1)
        [row] = shop.outbox("messages")
    with desk(tmp_path / "data", welcome) as shop:
        publisher = Publisher(writer, power=False)
        publisher.add(shop.shard)
        told = Delivery(message_id=message(row).message_id, at="", attempt=1, provider="smtp", result="accepted")
        shop.delivery("c1", told)
        shop.clock_at(START)
        until(lambda: shop.shard.outbox.count == 0, publisher, shop)
    assert len(published(root, "decisions")) == 1
    assert published(root, "messages") == []


def test_a_row_that_the_log_refuses_is_counted_and_holds_up_nobody(tmp_path: Path, root: Path) -> None:
    create_topics(root, [TopicSpec("dead-letters", 1, 7)])
    writer = LogWriter(root)
    with desk(tmp_path / "data", welcome) as shop:
        publisher = Publisher(writer, power=False)
        publisher.add(shop.shard)
        shop.clock_at(START)
        batch = shop.shard.store.batch()
        shop.shard.outbox.add(batch, bytes(16), "no-such-topic", b"k", b"v")
        shop.shard.store.commit(batch)
        shop.shard.outbox.saved(START)
        publisher.publish(shop.shard)
        join(shop, 1)
        publisher.publish(shop.shard)
        until(lambda: shop.shard.outbox.count == 0, publisher, shop)
        assert publisher.refused == 1
        assert len(published(root, "decisions")) == 1
    writer.close()
