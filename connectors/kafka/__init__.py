"""Kafka as one of the two logs: the doors of `state.records`, by kafka-python or, where it is installed, librdkafka."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.kafka.admin import create_topics
from connectors.kafka.reader import KafkaReader

__all__ = ["KafkaReader", "create_topics", "open_reader"]


def open_reader(
    bootstrap_servers: str,
    *,
    group: str,
    security: Mapping[str, Any] | None = None,
    client: str = "kafka-python",
) -> KafkaReader:
    """Raises `LogError` when Kafka cannot be reached within half a minute."""
    return KafkaReader(bootstrap_servers, group=group, security=security or {}, client=client)
