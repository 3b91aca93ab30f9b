"""The bare loop over kafka-python, with its checksums by `crc32c`."""

from __future__ import annotations

from kafka import KafkaConsumer, KafkaProducer, TopicPartition  # type: ignore[import-untyped]

from benchmarks.peers.bare import Loop
from benchmarks.peers.course import Course
from benchmarks.peers.job import PARTITIONS


def main() -> None:
    course = Course.told()
    producer = KafkaProducer(bootstrap_servers=course.servers)
    loop = Loop(course.folder, lambda key, value: producer.send(course.reminders, value, key))
    consumer = KafkaConsumer(bootstrap_servers=course.servers, enable_auto_commit=False, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(course.topic, partition) for partition in range(PARTITIONS)])
    while course.read < course.events:
        for place, records in consumer.poll(timeout_ms=1000, max_records=5_000).items():
            loop.take(place.partition, ((each.offset, each.key, each.value, each.timestamp) for each in records))
            course.passed(len(records))
    producer.flush()
    loop.close()
    course.done()
    consumer.close()


if __name__ == "__main__":
    main()
