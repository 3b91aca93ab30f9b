"""Opening the logs that the configuration names, and knowing which topics there are."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from types import ModuleType
from zlib import crc32

from config.settings import Settings
from connectors import log
from state.messages import MESSAGES
from state.records import LogError, Reader, TopicPartition, TopicSpec, Writer

OUTPUT_RETENTION_DAYS = {
    MESSAGES: 14,
    "decisions": 90,
    "deliveries": 30,
    "dead-letters": 90,
    "internal": 30,
    "recommendations": 90,
}
RESULTS = ("deliveries", "internal")
COURIERS = "impuls-couriers"  # the consumer group of all couriers


def output_topics(settings: Settings) -> list[TopicSpec]:
    """The topics that are ours: `messages` and `deliveries` are partitioned alike."""
    return [TopicSpec(name, settings.log.partitions, days) for name, days in OUTPUT_RETENTION_DAYS.items()]


def input_topics(settings: Settings) -> list[str]:
    return list(settings.kafka.topics)


def open_reader(settings: Settings, group: str) -> Reader:
    if settings.source == "log":
        return log.LogReader(settings.data_dir / "log", group)
    reader: Reader = _kafka().open_reader(
        settings.kafka.bootstrap_servers,
        group=group,
        security=settings.kafka.security,
        client=settings.kafka.client,
    )
    return reader


def open_writer(settings: Settings) -> Writer:
    if settings.source == "log":
        return log.LogWriter(settings.data_dir / "log", fsync=settings.durability == "power")
    writer: Writer = _kafka().open_writer(
        settings.kafka.bootstrap_servers, security=settings.kafka.security, client=settings.kafka.client
    )
    return writer


def make_topics(settings: Settings) -> None:
    """Make what is missing: our own topics, and on the embedded log the inputs too."""
    specs = output_topics(settings)
    if settings.source == "log":
        limit = (settings.log.retention_mib or 0) << 20
        specs += [
            TopicSpec(name, settings.log.partitions, settings.log.retention_days, limit)
            for name in input_topics(settings)
        ]
        log.create_topics(settings.data_dir / "log", specs)
    else:
        _kafka().create_topics(settings.kafka.bootstrap_servers, settings.kafka.security, specs)


def _kafka() -> ModuleType:
    # Not loaded where the embedded log serves: Kafka's clients take a tenth of a second to import.
    return import_module("connectors.kafka")


def find_partitions(reader: Reader, topics: Iterable[str]) -> list[TopicPartition]:
    """Every partition of these topics.  Raises `LogError` naming the topics that are not there."""
    found = {topic: reader.partitions(topic) for topic in topics}
    missing = [topic for topic, partitions in found.items() if not partitions]
    if missing:
        raise LogError(
            f"topics {', '.join(missing)}: there is no such topic. Create it, or take it out of [kafka] topics: "
            "no wait could end while a source is missing."
        )
    return [TopicPartition(topic, partition) for topic, partitions in found.items() for partition in partitions]


def share_of(partitions: Iterable[TopicPartition], worker: int, workers: int) -> list[TopicPartition]:
    """The partitions that one of the workers reads."""
    return [tp for tp in partitions if (crc32(tp.topic.encode()) + tp.partition) % workers == worker]
