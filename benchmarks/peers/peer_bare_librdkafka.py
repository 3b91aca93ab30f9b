"""The bare loop over librdkafka (`confluent-kafka`)."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from benchmarks.peers.bare import Loop
from benchmarks.peers.course import Course
from benchmarks.peers.job import PARTITIONS


def main() -> None:
    course = Course.told()
    producer = Producer({"bootstrap.servers": course.servers, "linger.ms": 5})
    loop = Loop(course.folder, lambda key, value: producer.produce(course.reminders, value, key))
    consumer = Consumer(
        {"bootstrap.servers": course.servers, "group.id": course.group, "enable.auto.commit": False, "check.crcs": True}
    )
    consumer.assign([TopicPartition(course.topic, partition, OFFSET_BEGINNING) for partition in range(PARTITIONS)])
    while course.read < course.events:
        found: defaultdict[Any, list[Any]] = defaultdict(list)
        for each in consumer.consume(5_000, 0.1):
            found[each.partition()].append((each.offset(), each.key(), each.value(), each.timestamp()[1]))
        for partition, records in found.items():
            loop.take(partition, records)
            course.passed(len(records))
        producer.poll(0)
    producer.flush()
    loop.close()
    course.done()
    consumer.close()


if __name__ == "__main__":
    main()
