"""Kafka as one of the two logs: the doors of `state.records`, by kafka-python or, where it is installed, librdkafka."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.kafka.admin import create_topics
from connectors.kafka.reader import KafkaReader
from connectors.kafka.writer import KafkaWriter

__all__ = ["KafkaReader", "KafkaWriter", "create_topics", "open_reader", "open_writer"]


def open_reader(
    bootstrap_servers: str,
    *,
    group: str,
    security: Mapping[str, Any] | None = None,
    client: str = "kafka-python",
) -> KafkaReader:
    """Connects at the first question, which raises `LogError` when Kafka cannot be reached within half a minute."""
    return KafkaReader(bootstrap_servers, group=group, security=security or {}, client=client)


def open_writer(
    bootstrap_servers: str, *, security: Mapping[str, Any] | None = None, client: str = "kafka-python"
) -> KafkaWriter:
    """Never fails for want of a broker: it waits for one, and holds what it is given, up to its bounds."""
    return KafkaWriter(bootstrap_servers, security=security or {}, client=client)
