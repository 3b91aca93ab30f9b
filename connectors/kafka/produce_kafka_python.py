"""`Producing` by kafka-python's idempotent producer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kafka import KafkaProducer  # type: ignore[import-untyped]
from kafka.errors import (  # type: ignore[import-untyped]
    InvalidRecordError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from connectors.kafka.producing import Answer, Outcome
from connectors.kafka.security import for_kafka_python

# The broker has the last word on sizes, for it knows the topic's own limit; this only bounds a request.
REQUEST_BYTES_MAX = 64 << 20
_FOR_GOOD = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidRecordError, InvalidTopicError)
_NEVER_MS = 2**31 - 1


class KafkaPythonProducing:
    def __init__(self, bootstrap_servers: str, security: Mapping[str, Any]) -> None:
        """Raises `KafkaError` when no broker answers within seconds."""
        self._producer = KafkaProducer(
            bootstrap_servers=bootstrap_servers.split(","),
            acks="all",
            enable_idempotence=True,
            delivery_timeout_ms=_NEVER_MS,
            linger_ms=0,
            max_block_ms=5_000,
            bootstrap_timeout_ms=5_000,
            # One request at a time to each broker: nothing can overtake, whatever fails.
            max_in_flight_requests_per_connection=1,
            max_request_size=REQUEST_BYTES_MAX,
            request_timeout_ms=10_000,
            reconnect_backoff_max_ms=1_000,
            allow_auto_create_topics=False,
            metrics_enabled=False,
            **for_kafka_python(security),
        )
        self._broken = False

    def send(self, topic: str, key: bytes | None, value: bytes, answer: Answer) -> None:
        def failed(error: BaseException) -> None:
            # Before the partition is let go for the next batch: a hole in the numbering makes the producer start a new
            # one, under which what was sent later could pass what was sent first.
            self._break()
            answer(Outcome.REFUSED if isinstance(error, _FOR_GOOD) else Outcome.BROKEN, type(error).__name__)

        if self._broken:
            answer(Outcome.BROKEN, "an earlier record failed")
            return
        try:
            future = self._producer.send(topic, value, key)
        except (*_FOR_GOOD, ValueError) as error:  # a ValueError is a name that no topic can have
            answer(Outcome.REFUSED, type(error).__name__)
        except KafkaError as error:
            answer(Outcome.BROKEN, f"{type(error).__name__} on topic {topic}")
        else:
            future.add_callback(lambda _: answer(Outcome.DONE, ""))
            future.add_errback(failed)

    def close(self) -> None:
        self._break()
        self._producer.close(timeout=1)

    def _break(self) -> None:
        self._broken = True
        self._producer._sender.force_close()
