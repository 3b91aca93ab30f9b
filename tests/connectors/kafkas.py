"""Kafka as a door for the tests, by either client."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Producer
from kafka import KafkaAdminClient  # type: ignore[import-untyped]
from kafka.errors import RetriableError  # type: ignore[import-untyped]

from connectors.kafka import KafkaReader, KafkaWriter, create_topics, open_reader, open_writer
from state.records import TopicSpec
from tests.connectors.contract import SECONDS_MAX

CLIENTS = ["kafka-python", "librdkafka"]


@dataclass(frozen=True)
class KafkaDoor:
    servers: str
    client: str = "kafka-python"
    security: Mapping[str, object] = field(default_factory=dict)

    def create(self, topic: str, partitions: int) -> None:
        create_topics(self.servers, self.security, [TopicSpec(topic, partitions, 7)])

    def reader(self, group: str = "") -> KafkaReader:
        return open_reader(self.servers, group=group, security=self.security, client=self.client)

    def writer(self) -> KafkaWriter:
        return open_writer(self.servers, security=self.security, client=self.client)


@contextmanager
def asking(servers: str) -> Iterator[Any]:
    """Kafka's own administration, apart from ours."""
    client = KafkaAdminClient(bootstrap_servers=servers)
    try:
        yield client
    finally:
        client.close()


def new_topic(servers: str, partitions: int = 1, **configs: object) -> str:
    name = f"t-{uuid.uuid4().hex[:12]}"
    stated = {name.replace("_", "."): str(value) for name, value in configs.items()}
    with asking(servers) as client:
        client.create_topics({name: {"num_partitions": partitions, "replication_factor": 1, "configs": stated}})
        client.wait_for_topics([name])
    return name


def seen_by_kafkas_tools(servers: str, group: str) -> dict[tuple[str, int], int]:
    """As `kafka-consumer-groups --describe` would show it; nothing while the broker has no coordinator for it yet."""
    with asking(servers) as client:
        try:
            told = client.list_group_offsets({group: None})[group]
        except RetriableError:
            return {}
    return {(tp.topic, tp.partition): found.offset for tp, found in told.items()}


class Transactions:
    """A producer whose records are there together or not at all."""

    def __init__(self, servers: str) -> None:
        self._producer = Producer({"bootstrap.servers": servers, "transactional.id": uuid.uuid4().hex})
        self._producer.init_transactions(SECONDS_MAX)

    def begin(self, topic: str, values: Iterable[bytes], partition: int = 0) -> None:
        """In the log, and not to be read yet."""
        self._producer.begin_transaction()
        for value in values:
            self._producer.produce(topic, value, b"k", partition)
        assert self._producer.flush(SECONDS_MAX) == 0

    def commit(self) -> None:
        self._producer.commit_transaction(SECONDS_MAX)

    def abort(self) -> None:
        self._producer.abort_transaction(SECONDS_MAX)
