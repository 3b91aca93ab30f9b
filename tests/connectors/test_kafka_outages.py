"""The broker goes silent, or dies and comes back, while both clients read and write: nothing lost, order kept, no
memory taken, and whoever looks can see how long nothing was heard."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from connectors.kafka.reader import KafkaReader
from connectors.kafka.writer import RECORDS_MAX, KafkaWriter
from tests.brokers import Broker, running_broker
from tests.connectors.contract import all_of, eventually
from tests.connectors.kafkas import CLIENTS, KafkaDoor, new_topic

pytestmark = pytest.mark.timeout(300)  # a broker of its own, started twice
KEYS = 7
SECONDS_MAX = 60.0


@pytest.fixture(scope="module")
def broker(kafka: Broker) -> Iterator[Broker]:
    """One that may be frozen and killed, apart from the one that others use."""
    del kafka
    with running_broker("frail") as started:
        yield started


class Traffic:
    """Numbers written to a topic and read from it again, by one client."""

    def __init__(self, door: KafkaDoor, writer: KafkaWriter, reader: KafkaReader) -> None:
        self.writer, self.reader = writer, reader
        self.topic = new_topic(door.servers, 2)
        self.sent, self.acked = 0, 0
        self.read: dict[int, None] = {}  # in the order of their first reading
        self.idle_at = 0.0
        reader.assign(dict.fromkeys(all_of(reader, self.topic), 0))

    def write(self, count: int) -> bool:
        """Whether the writer took them all."""
        for _ in range(count):
            if not self.writer.send(self.topic, b"%d" % (self.sent % KEYS), b"%d" % self.sent, self.sent):
                return False
            self.sent += 1
        return True

    def look(self) -> None:
        self.acked += len(self.writer.acknowledged())
        for fetched in self.reader.poll(1000):
            self.read.update(dict.fromkeys(int(record.value or b"") for record in fetched.records))
            self.idle_at = max(self.idle_at, fetched.idle_at or 0.0)

    def is_whole(self) -> bool:
        self.look()
        return len(self.read) == self.sent == self.acked

    def is_full(self) -> bool:
        """Whether the writer takes no more, though all that was answered has been collected."""
        self.look()
        return not self.write(1000)

    def is_in_order(self) -> bool:
        per_key = [[number for number in self.read if number % KEYS == key] for key in range(KEYS)]
        return all(mine == sorted(mine) for mine in per_key)


@contextmanager
def traffic(broker: Broker) -> Iterator[list[Traffic]]:
    with ExitStack() as stack:
        doors = [KafkaDoor(broker.servers, client) for client in CLIENTS]
        yield [
            Traffic(door, stack.enter_context(closing(door.writer())), stack.enter_context(closing(door.reader())))
            for door in doors
        ]


def all_whole(streams: list[Traffic]) -> bool:
    whole = [stream.is_whole() for stream in streams]  # each is looked at, whatever the first says
    return all(whole)


def silent_for(streams: list[Traffic], seconds: float) -> bool:
    for stream in streams:
        stream.write(1)
        stream.look()
    return all(stream.reader.last_fetch_age_seconds() > seconds for stream in streams)


def test_a_broker_that_is_silent_longer_than_any_request_may_take(broker: Broker) -> None:
    with traffic(broker) as streams:
        assert all(stream.write(500) for stream in streams)
        assert eventually(lambda: all_whole(streams))
        with broker.frozen():
            assert eventually(lambda: silent_for(streams, 0.5), SECONDS_MAX)
            idle_before = [stream.idle_at for stream in streams]
            assert eventually(lambda: silent_for(streams, 11.0), SECONDS_MAX)
            assert [stream.idle_at for stream in streams] == idle_before, "silence is not the end of a partition"
        assert eventually(lambda: all_whole(streams), SECONDS_MAX)
        assert all(stream.is_in_order() for stream in streams)
        assert eventually(lambda: all(stream.reader.last_fetch_age_seconds() < 1 for stream in streams))


def test_a_broker_that_dies_under_load_and_comes_back(broker: Broker) -> None:
    with traffic(broker) as streams:
        assert all(stream.write(2000) for stream in streams)
        assert eventually(lambda: any(stream.is_whole() or len(stream.read) > 300 for stream in streams))
        broker.kill()
        for stream in streams:
            # Answers that the dead broker had still given may come in meanwhile, each making room for one more.
            assert eventually(stream.is_full, SECONDS_MAX)
            assert stream.sent - stream.acked <= RECORDS_MAX
        assert eventually(lambda: silent_for(streams, 2.0), SECONDS_MAX)
        broker.start()
        back = time.time()
        assert eventually(lambda: all_whole(streams), SECONDS_MAX)
        assert all(stream.is_in_order() for stream in streams)
        assert all(stream.write(100) for stream in streams)
        assert eventually(lambda: all_whole(streams))
        assert eventually(lambda: all(stream.reader.last_fetch_age_seconds() < 1 for stream in streams))
        assert eventually(lambda: all(stream.reader.looked_at(stream.topic) > back for stream in streams), SECONDS_MAX)
