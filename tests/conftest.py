"""What tests of several packages share: a real Apache Kafka, started once for the run, and how long generated tests
search (short by default, `IMPULS_TESTS=long` for a night)."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.brokers import Broker, end_shared_broker, shared_broker, what_kafka_lacks

settings.register_profile("short", max_examples=100, deadline=None, print_blob=True)
settings.register_profile(
    "long", max_examples=5_000, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck)
)
LONG = os.environ.get("IMPULS_TESTS") == "long"
settings.load_profile("long" if LONG else "short")


def pytest_configure() -> None:
    """A run in the background of a script, or under nohup, ignores these, and so would all that the tests start."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Who searches for a night is not broken off after two minutes."""
    for item in items if LONG else ():
        item.add_marker(pytest.mark.timeout(0), append=False)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Here and not in the fixture, so that all that is left out is told in one line."""
    if "kafka" not in getattr(item, "fixturenames", ()) or not what_kafka_lacks():
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"no Kafka, and on CI there must be one: {what_kafka_lacks()}")
    pytest.skip(f"left out, no Kafka here: {what_kafka_lacks()}")


@pytest.fixture(scope="session")
def kafka() -> Broker:
    """Shared by all: neither to be frozen nor killed. Who starts one of their own asks for this one all the same."""
    return shared_broker()


@pytest.fixture
def kafka_for_impuls(kafka: Broker) -> Iterator[Broker]:
    """The same, for those who run Impuls on it, one at a time: all deployments write to topics of the same names."""
    with kafka.for_one_deployment():
        yield kafka


def pytest_unconfigure(config: pytest.Config) -> None:
    """In the process that shares tests out, this comes after the end of its workers."""
    if not hasattr(config, "workerinput"):
        end_shared_broker()


@pytest.fixture(autouse=True, scope="session")
def only_settings_in_the_environment() -> None:
    """What was said to the tests is none, and Impuls refuses what it does not know."""
    os.environ.pop("IMPULS_TESTS", None)
