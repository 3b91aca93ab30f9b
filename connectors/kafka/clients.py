"""Which of the two clients does the work. Each is loaded only where it is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from connectors.kafka.fetching import Fetching, Notice
from connectors.kafka.producing import Connect
from state.records import LogError


def fetching_by(client: str, servers: str, group: str, security: Mapping[str, Any]) -> Callable[[Notice], Fetching]:
    match client:
        case "kafka-python":
            from connectors.kafka.fetch_kafka_python import KafkaPythonFetching

            return partial(KafkaPythonFetching, servers, security)
        case "librdkafka":
            with_librdkafka()
            from connectors.kafka.fetch_librdkafka import LibrdkafkaFetching

            return partial(LibrdkafkaFetching, servers, group, security)
    raise _unknown(client)


def producing_by(client: str, servers: str, security: Mapping[str, Any]) -> Connect:
    match client:
        case "kafka-python":
            from connectors.kafka.produce_kafka_python import KafkaPythonProducing

            return partial(KafkaPythonProducing, servers, security)
        case "librdkafka":
            with_librdkafka()
            from connectors.kafka.produce_librdkafka import LibrdkafkaProducing

            return partial(LibrdkafkaProducing, servers, security)
    raise _unknown(client)


def with_librdkafka() -> None:
    """Raises `LogError` where the extra is not installed."""
    try:
        import confluent_kafka  # noqa: F401
    except ImportError as error:
        raise LogError(
            'kafka.client is "librdkafka", which is not installed. Install the extra impuls[librdkafka] '
            '(the package confluent-kafka), or choose "kafka-python".'
        ) from error


def _unknown(client: str) -> LogError:
    return LogError(f'kafka.client is "{client}". Choose kafka-python or librdkafka.')
