"""Kafka keeps the promises of every log, by either client."""

from __future__ import annotations

import pytest

from tests.brokers import Broker
from tests.connectors.contract import LogContract, topic, wide
from tests.connectors.kafkas import CLIENTS, KafkaDoor

__all__ = ["topic", "wide"]


@pytest.fixture(params=CLIENTS)
def door(kafka: Broker, request: pytest.FixtureRequest) -> KafkaDoor:
    return KafkaDoor(kafka.servers, request.param)


class TestKafka(LogContract):
    pass
