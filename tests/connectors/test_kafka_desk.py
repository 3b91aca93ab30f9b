"""What others see of us in Kafka, and we of them: committed progress, topics as stated, partitions that were added."""

from __future__ import annotations

import threading
import uuid
from contextlib import closing

import pytest
from confluent_kafka import Consumer
from kafka.admin import ConfigResource  # type: ignore[import-untyped]

from connectors.kafka import create_topics
from connectors.kafka.desk import Desk
from state.records import LogError, TopicPartition, TopicSpec
from tests.brokers import Broker
from tests.connectors.contract import SECONDS_MAX, all_of, append, eventually
from tests.connectors.kafkas import CLIENTS, KafkaDoor, asking, new_topic, seen_by_kafkas_tools

DAY_MS = 86_400_000


@pytest.fixture(params=CLIENTS)
def door(kafka: Broker, request: pytest.FixtureRequest) -> KafkaDoor:
    return KafkaDoor(kafka.servers, request.param)


def test_progress_shows_in_kafkas_own_tools(door: KafkaDoor) -> None:
    topic, group = new_topic(door.servers, 2), f"g-{uuid.uuid4().hex[:8]}"
    with closing(door.reader(group)) as reader:
        reader.assign(dict.fromkeys(all_of(reader, topic), 0))
        reader.commit({TopicPartition(topic, 0): 0, TopicPartition(topic, 1): 0})
        append(door, topic, [(b"%d" % number, b"v") for number in range(50)])
        reader.commit(reader.ends(all_of(reader, topic)))
        ends = {tuple(tp): end for tp, end in reader.ends(all_of(reader, topic)).items()}
        assert eventually(lambda: seen_by_kafkas_tools(door.servers, group) == ends)


def test_the_last_commit_before_closing_is_made(door: KafkaDoor) -> None:
    topic, group = new_topic(door.servers), f"g-{uuid.uuid4().hex[:8]}"
    append(door, topic, [(b"k", b"v")] * 9)
    with closing(door.reader(group)) as reader:
        reader.assign({TopicPartition(topic, 0): 0})
        reader.commit({TopicPartition(topic, 0): 9})
    assert seen_by_kafkas_tools(door.servers, group) == {(topic, 0): 9}


def test_a_stranger_in_the_group_does_not_stop_us_from_reading(door: KafkaDoor) -> None:
    """Somebody's console consumer joins under our group's name: Kafka then refuses our commits, and only those."""
    topic, group = new_topic(door.servers), f"g-{uuid.uuid4().hex[:8]}"
    stranger = Consumer({"bootstrap.servers": door.servers, "group.id": group, "auto.offset.reset": "earliest"})
    stranger.subscribe([topic])
    try:
        assert eventually(lambda: stranger.poll(0.1) is None and stranger.assignment() != [])
        with closing(door.reader(group)) as reader:
            reader.assign({TopicPartition(topic, 0): 0})
            reader.commit({TopicPartition(topic, 0): 0})
            append(door, topic, [(b"k", b"v")])
            taken: list[object] = []

            def has_come() -> bool:
                taken.extend(record for fetched in reader.poll(10) for record in fetched.records)
                return len(taken) == 1

            assert eventually(has_come)
    finally:
        stranger.close()


def test_added_partitions_are_seen_and_read(door: KafkaDoor) -> None:
    topic = new_topic(door.servers, 2)
    with closing(door.reader()) as reader:
        assert list(reader.partitions(topic)) == [0, 1]
        with asking(door.servers) as client:
            client.create_partitions({topic: 5})
        assert eventually(lambda: list(reader.partitions(topic)) == [0, 1, 2, 3, 4])
        reader.assign(dict.fromkeys(all_of(reader, topic), 0))
        append(door, topic, [(b"%d" % number, b"v") for number in range(100)])
        seen: set[int] = set()

        def all_are_read() -> bool:
            seen.update(fetched.partition for fetched in reader.poll(100) if fetched.records)
            return len(seen) == 5

        assert eventually(all_are_read)


def test_topics_are_made_as_stated_by_whoever_is_first(kafka: Broker) -> None:
    name = f"t-{uuid.uuid4().hex[:8]}"
    specs = [TopicSpec(f"{name}-messages", 3, 14), TopicSpec(f"{name}-decisions", 5, 90)]
    made: list[list[str]] = []
    makers = [
        threading.Thread(target=lambda: made.append(create_topics(kafka.servers, {}, specs)), name=f"maker-{number}")
        for number in range(3)
    ]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join(SECONDS_MAX)
    assert sorted(each for names in made for each in names) == sorted(spec.name for spec in specs)
    with asking(kafka.servers) as client:
        told = client.describe_configs([ConfigResource("topic", spec.name) for spec in specs])["topic"]
    assert [told[spec.name]["retention.ms"]["value"] for spec in specs] == [str(14 * DAY_MS), str(90 * DAY_MS)]
    with closing(KafkaDoor(kafka.servers).reader()) as reader:
        assert [len(reader.partitions(spec.name)) for spec in specs] == [3, 5]
    assert create_topics(kafka.servers, {}, [TopicSpec(specs[0].name, 7, 1)]) == [], "what is there stays as it is"


def test_a_topic_that_kafka_will_not_make_is_named(kafka: Broker) -> None:
    with pytest.raises(LogError, match="not a name"):
        create_topics(kafka.servers, {}, [TopicSpec("not a name", 1, 1)])


def test_no_broker_is_an_error_with_the_address() -> None:
    with closing(Desk("127.0.0.1:1", "g", {})) as desk, pytest.raises(LogError) as raised:
        desk.partitions(["clickstream"], 1.0)
    assert "127.0.0.1:1" in str(raised.value)
    assert "kafka.bootstrap_servers" in str(raised.value)
