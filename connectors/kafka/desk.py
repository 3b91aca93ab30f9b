"""Questions to Kafka that are rare and may take a while: which partitions, which offsets, what was committed.

Every call blocks, at most `SECONDS_MAX` or as long as it is told; none belongs into a dataflow that runs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any, TypeVar

from kafka import KafkaAdminClient  # type: ignore[import-untyped]
from kafka import TopicPartition as KafkaPartition
from kafka.errors import (  # type: ignore[import-untyped]
    InvalidTopicError,
    KafkaError,
    NoError,
    RetriableError,
    UnknownTopicOrPartitionError,
    for_code,
)
from kafka.protocol.consumer import IsolationLevel, OffsetSpec  # type: ignore[import-untyped]
from kafka.structs import OffsetAndMetadata  # type: ignore[import-untyped]

from connectors.kafka.security import for_kafka_python
from state.records import LogError, TopicPartition

SECONDS_MAX = 30.0
_T = TypeVar("_T")

# At debug level kafka-python writes down keys, values and passwords.
for _name in ("kafka.producer", "kafka.admin", "kafka.net"):
    logging.getLogger(_name).setLevel(logging.INFO)


class Desk:
    """Answers from a client of its own, made at the first question."""

    def __init__(self, bootstrap_servers: str, group: str, security: Mapping[str, Any]) -> None:
        self._servers, self._group, self._security = bootstrap_servers, group, security
        self._client: Any = None
        self._lock = Lock()

    def partitions(self, topics: Sequence[str], seconds: float = SECONDS_MAX) -> dict[str, list[int]]:
        """Of each of these topics; none where there is no such topic."""

        def look(client: Any) -> dict[str, list[int]]:
            return {described["name"]: _partitions(described) for described in client.describe_topics(list(topics))}

        return self._ask(look, seconds) if topics else {}

    def beginnings(self, tps: Sequence[TopicPartition], seconds: float = SECONDS_MAX) -> dict[TopicPartition, int]:
        return self._offsets(dict.fromkeys(tps, OffsetSpec.EARLIEST), seconds)

    def ends(self, tps: Sequence[TopicPartition], seconds: float = SECONDS_MAX) -> dict[TopicPartition, int]:
        return self._offsets(dict.fromkeys(tps, OffsetSpec.LATEST), seconds)

    def at_time(self, tps: Sequence[TopicPartition], timestamp_ms: int) -> dict[TopicPartition, int]:
        found = self._offsets({tp: max(0, timestamp_ms) for tp in tps}, SECONDS_MAX)
        after_all = [tp for tp, offset in found.items() if offset < 0]
        return {**found, **(self.ends(after_all) if after_all else {})}

    def commit(self, positions: Mapping[TopicPartition, int], seconds: float = SECONDS_MAX) -> None:
        offsets = {KafkaPartition(*tp): OffsetAndMetadata(offset, "", -1) for tp, offset in positions.items()}

        def put(client: Any) -> None:
            for error in client.alter_group_offsets(self._group, offsets).values():
                if error is not NoError:
                    raise error()

        self._ask(put, seconds)

    def committed(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        wanted = [KafkaPartition(*tp) for tp in tps]
        found = self._ask(lambda client: client.list_group_offsets({self._group: wanted})[self._group], SECONDS_MAX)
        return {
            TopicPartition(tp.topic, tp.partition): committed.offset
            for tp, committed in found.items()
            if committed.offset >= 0
        }

    def brokers(self) -> int:
        return len(self._ask(lambda client: client.describe_cluster()["brokers"], SECONDS_MAX))

    def create(self, topics: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
        """The error code for each; 0 where it was made."""
        answer = self._ask(lambda client: client.create_topics(dict(topics), raise_errors=False), SECONDS_MAX)
        codes = {each["name"]: each["error_code"] for each in answer["topics"]}
        if made := [name for name, code in codes.items() if code == 0]:
            self._ask(lambda client: client.wait_for_topics(made), SECONDS_MAX)
        return codes

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(KafkaError):
                client.close()

    def _offsets(self, specs: Mapping[TopicPartition, int], seconds: float) -> dict[TopicPartition, int]:
        if not specs:
            return {}
        wanted = {KafkaPartition(*tp): spec for tp, spec in specs.items()}
        # Uncommitted: the end is where the next record goes, and a time is found in a transaction that is still open.
        found = self._ask(
            lambda client: client.list_partition_offsets(wanted, IsolationLevel.READ_UNCOMMITTED), seconds
        )
        return {TopicPartition(tp.topic, tp.partition): at.offset for tp, at in found.items()}

    def _ask(self, question: Callable[[Any], _T], seconds: float) -> _T:
        """Again and again while the fault is of the kind that passes, as long as there is time."""
        deadline = time.monotonic() + seconds
        pause = 0.05
        with self._lock:
            while True:
                try:
                    if self._client is None:
                        self._client = self._connect(deadline)
                    return question(self._client)
                except UnknownTopicOrPartitionError as error:
                    raise LogError(
                        f"Kafka at {self._servers} has no such topic or partition ({error}). "
                        "Create it, or correct kafka.topics."
                    ) from error
                except KafkaError as error:
                    passes = isinstance(error, RetriableError) or getattr(error, "retriable", False)
                    if not passes or time.monotonic() + pause > deadline:
                        self._drop()  # one that lost its broker may never find it again
                        raise LogError(
                            f"Kafka at {self._servers} did not answer as it should: {type(error).__name__}. "
                            "See that it runs and that kafka.bootstrap_servers and kafka.security are right."
                        ) from error
                    time.sleep(pause)
                    pause = min(pause * 2, 1.0)

    def _connect(self, deadline: float) -> Any:
        left_ms = max(500, round((deadline - time.monotonic()) * 1000))
        return KafkaAdminClient(
            bootstrap_servers=self._servers.split(","),
            bootstrap_timeout_ms=left_ms,
            request_timeout_ms=10_000,
            reconnect_backoff_max_ms=1_000,
            **for_kafka_python(self._security),
        )


def _partitions(described: Mapping[str, Any]) -> list[int]:
    topic, error = described["name"], for_code(described["error_code"])
    if error is UnknownTopicOrPartitionError:
        return []
    if error is InvalidTopicError:
        raise LogError(f'Kafka allows no topic named "{topic}". Letters, digits, ".", "_" and "-" will do.')
    if error is not NoError:
        raise error(topic)
    return sorted(each["partition_index"] for each in described["partitions"])
