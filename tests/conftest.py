"""What tests of several packages share: a real Apache Kafka, started once for the session, and how long generated tests
search (short by default, `IMPULS_TESTS=long` for a night)."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.brokers import Broker, running_broker, what_kafka_lacks

settings.register_profile("short", max_examples=100, deadline=None, print_blob=True)
settings.register_profile(
    "long", max_examples=5_000, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck)
)
settings.load_profile("long" if os.environ.get("IMPULS_TESTS") == "long" else "short")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Here and not in the fixture, so that all that is left out is told in one line."""
    if "kafka" not in getattr(item, "fixturenames", ()) or not what_kafka_lacks():
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"no Kafka, and on CI there must be one: {what_kafka_lacks()}")
    pytest.skip(f"left out, no Kafka here: {what_kafka_lacks()}")


@pytest.fixture(scope="session")
def kafka() -> Iterator[Broker]:
    """Shared by all: neither to be frozen nor killed. Who starts one of their own asks for this one all the same."""
    with running_broker("shared") as broker:
        yield broker
