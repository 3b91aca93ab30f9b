"""What reading and writing by librdkafka (`confluent-kafka`, the extra `impuls[librdkafka]`) have in common."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError

from connectors.kafka.security import for_librdkafka

LOG = logging.getLogger("impuls.kafka.librdkafka")


def connection(servers: str, security: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "bootstrap.servers": servers,
        "socket.nagle.disable": True,
        "reconnect.backoff.max.ms": 1_000,
        "topic.metadata.refresh.interval.ms": 3_000,
        "allow.auto.create.topics": False,
        "error_cb": _note,
        **for_librdkafka(security),
    }


def _note(error: KafkaError) -> None:
    """Faults of the connection: they pass, and show in the age of the last fetch or of the oldest unanswered record."""
    LOG.debug("librdkafka", extra={"fact": error.name()})
