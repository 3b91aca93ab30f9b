"""`impuls run` on Kafka: a shop's events become decisions, Kafka's tools see the progress, a partition that is added is
read, and a polite stop leaves nothing to be done twice."""

from __future__ import annotations

import itertools
import json
import uuid
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.proof.broker import ids_in
from state.records import TopicPartition
from tests.brokers import Broker
from tests.connectors.contract import all_of, append, read
from tests.connectors.kafkas import KafkaDoor, asking, new_topic, seen_by_kafkas_tools
from tests.flows.deployments import Deployment, running, until
from tests.flows.test_cli import MINUTE, NO_LIMITS, ago, identify, track


class Shop:
    """Its topics on a broker, and what was decided about its customers there."""

    def __init__(self, broker: Broker) -> None:
        self.door = KafkaDoor(broker.servers)
        self.topics = [new_topic(broker.servers, 2), new_topic(broker.servers, 2)]
        self.group = f"impuls-{uuid.uuid4().hex[:8]}"
        self.settings = f"""
source = "kafka"
shards = 8
{NO_LIMITS}
[kafka]
bootstrap_servers = "{broker.servers}"
topics = {json.dumps(self.topics)}
group = "{self.group}"
"""

    def welcome(self, *customers: str) -> None:
        """Each says who she is on one topic, and what she wants on it."""
        written: list[list[tuple[bytes | None, bytes]]] = [[] for _ in self.topics]
        for number, customer in enumerate(customers):
            events = (
                identify(customer, ago(2 * MINUTE)),
                track(customer, ago(MINUTE), "Consent Granted", channel="email", topic="marketing"),
            )
            rows: list[tuple[bytes | None, bytes]] = [
                (customer.encode(), json.dumps(event).encode()) for event in events
            ]
            written[number % len(written)] += rows
        for topic, all_rows in zip(self.topics, written, strict=True):
            append(self.door, topic, all_rows)

    def decided(self, before: str) -> list[str]:
        """Customers with these letters at the beginning of their ids, as the topic `decisions` has them."""
        with closing(self.door.reader()) as reader:
            tps = all_of(reader, "decisions")
            positions = reader.beginnings(tps)
            reader.assign(positions)
            count = sum(end - positions[tp] for tp, end in reader.ends(tps).items())
            found = [json.loads(record.value or b"") for records in read(reader, count).values() for record in records]
        return sorted(row["customer"] for row in found if row["customer"].startswith(before))

    def ends(self) -> dict[TopicPartition, int]:
        with closing(self.door.reader()) as reader:
            return reader.ends([tp for topic in self.topics for tp in all_of(reader, topic)])


def starts(deployment: Deployment) -> dict[TopicPartition, int]:
    """Where the worker was told to begin."""
    place = json.loads((deployment.folder / "data" / "run" / "place-0.json").read_bytes())
    return {TopicPartition(topic, partition): offset for topic, partition, offset, _ in place["starts"]}


@pytest.mark.timeout(300)  # a broker, two starts, and the seconds until partitions are looked for
def test_a_shop_on_kafka_from_its_first_event_to_the_start_after_a_stop(
    kafka_for_impuls: Broker, tmp_path: Path
) -> None:
    shop = Shop(kafka_for_impuls)
    mine = uuid.uuid4().hex[:8]
    early, late = ([f"{mine}-{when}-{number:02}" for number in range(20)] for when in ("a", "c"))
    moved = list(itertools.islice(ids_in(2, 3, f"{mine}-b"), 20))

    with running(tmp_path / "shop", "--only", "worker", settings=shop.settings) as deployment:
        shop.welcome(*early)
        assert until(lambda: shop.decided(mine) == early), deployment.log()
        assert until(lambda: seen(shop) == shop.ends()), "no lag is left in the group"

        with asking(kafka_for_impuls.servers) as client:
            client.create_partitions({shop.topics[0]: 3})
            assert until(lambda: len(client.describe_topics([shop.topics[0]])[0]["partitions"]) == 3)
        shop.welcome(*moved)
        assert shop.ends()[TopicPartition(shop.topics[0], 2)] > 0, "some of them are in the partition that was added"
        assert until(lambda: shop.decided(mine) == early + moved), deployment.log()
        assert deployment.stop() == 0, deployment.log()
    stopped_at = shop.ends()
    shop.welcome(*late)

    with running(tmp_path / "shop", "--only", "worker", settings=shop.settings) as deployment:
        begun_at = starts(deployment)
        assert {tp: begun_at[tp] for tp in stopped_at} == stopped_at, "nothing is read again"
        assert until(lambda: shop.decided(mine) == early + moved + late), deployment.log()
        assert until(lambda: seen(shop) == shop.ends())
        assert deployment.stop() == 0, deployment.log()


def seen(shop: Shop) -> dict[TopicPartition, int]:
    told = seen_by_kafkas_tools(shop.door.servers, shop.group)
    return {TopicPartition(*tp): offset for tp, offset in told.items() if tp[0] in shop.topics}
