"""The broker's side of a comparison: topics filled once before anything runs, and what was written in answer."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

from confluent_kafka import Producer

from benchmarks.peers.job import PARTITIONS, Event
from connectors.kafka import create_topics, open_reader
from state.records import TopicPartition, TopicSpec

# The records carry the times of a day long ago, and nothing of them may be deleted while peers read.
RETENTION_DAYS = 36_500
READ_SECONDS_MAX = 0.5

Positions = Mapping[TopicPartition, int]


def make(servers: str, *topics: str) -> None:
    create_topics(servers, {}, [TopicSpec(name, PARTITIONS, RETENTION_DAYS) for name in topics])


def fill(servers: str, topic: str, events: list[Event]) -> None:
    """Each event in its partition, its time as the record's, in batches as a busy producer makes them."""
    make(servers, topic)
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 50, "enable.idempotence": True})
    for event in events:
        key = event.customer.encode()
        while True:
            try:
                producer.produce(topic, event.value, key, partition=event.partition, timestamp=event.at)
            except BufferError:
                producer.poll(0.1)
            else:
                break
        producer.poll(0)
    if left := producer.flush(120):
        raise RuntimeError(f"{left} of {len(events)} events could not be written to topic {topic}")


def ends(servers: str, *topics: str) -> dict[TopicPartition, int]:
    """Where these topics end; nothing of those that are not there."""
    with closing(open_reader(servers, group="")) as reader:
        return reader.ends([TopicPartition(topic, each) for topic in topics for each in reader.partitions(topic)])


def written(servers: str, topic: str, since: Positions | None = None) -> list[bytes]:
    """The values of all (committed) records, from the beginning or from these positions."""
    with closing(open_reader(servers, group="peers", client="librdkafka")) as reader:
        partitions = [TopicPartition(topic, each) for each in reader.partitions(topic)]
        left = reader.ends(partitions)
        positions = {**reader.beginnings(partitions), **{tp: at for tp, at in (since or {}).items() if tp in left}}
        reader.assign(positions)
        values: list[bytes] = []
        while any(positions[tp] < end for tp, end in left.items()):
            reader.wait(READ_SECONDS_MAX)
            for fetched in reader.poll(50_000):
                positions[TopicPartition(fetched.topic, fetched.partition)] = fetched.end
                values += [record.value for record in fetched.records if record.value is not None]
        return values
