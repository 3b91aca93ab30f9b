"""`Fetching` by kafka-python: partitions by `assign`, never a member of a group."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from kafka import KafkaConsumer  # type: ignore[import-untyped]
from kafka import TopicPartition as KafkaPartition
from kafka.errors import (  # type: ignore[import-untyped]
    KafkaError,
    LogTruncationError,
    OffsetOutOfRangeError,
    RetriableError,
)

from connectors.kafka.fetching import Found, Lost, Notice, Quiet
from connectors.kafka.security import for_kafka_python
from connectors.kafka.watched import WatchedFetcher
from state.records import LogError, Record, TopicPartition

FETCH_BYTES_MAX = 8 << 20
PARTITION_BYTES_MAX = 256 << 10  # what one partition may hand over before the next has its turn
METADATA_AGE_MS_MAX = 3_000


class KafkaPythonFetching:
    def __init__(self, bootstrap_servers: str, security: Mapping[str, Any], notice: Notice) -> None:
        # Without a group: such a consumer would stand still while its coordinator is away. The desk commits.
        try:
            self._consumer = KafkaConsumer(
                bootstrap_servers=bootstrap_servers.split(","),
                enable_auto_commit=False,
                auto_offset_reset="none",
                isolation_level="read_committed",
                allow_auto_create_topics=False,
                fetch_min_bytes=1,
                fetch_max_wait_ms=100,
                fetch_max_bytes=FETCH_BYTES_MAX,
                max_partition_fetch_bytes=PARTITION_BYTES_MAX,
                request_timeout_ms=10_000,
                reconnect_backoff_max_ms=1_000,
                metadata_max_age_ms=METADATA_AGE_MS_MAX,
                metrics_enabled=False,
                **for_kafka_python(security),
            )
        except KafkaError as error:
            raise LogError(
                f"Kafka at {bootstrap_servers} cannot be reached: {type(error).__name__}. "
                "See that it runs and that kafka.bootstrap_servers and kafka.security are right."
            ) from error
        config = {**self._consumer.config, "metrics": None}
        self._watched = WatchedFetcher(self._consumer._client, self._consumer._subscription, notice=notice, **config)
        self._consumer._fetcher = self._watched
        self._positions: dict[TopicPartition, int] = {}
        self._assigned_at = time.monotonic()

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        added = {tp: offset for tp, offset in positions.items() if tp not in self._positions}
        for tp in self._positions.keys() - positions.keys():
            self._watched.forget(tp)
        self._assigned_at = time.monotonic()
        self._consumer.assign([KafkaPartition(*tp) for tp in positions])
        for tp, offset in added.items():
            self._consumer.seek(KafkaPartition(*tp), offset)
        self._positions = {tp: self._positions.get(tp, offset) for tp, offset in positions.items()}

    def fetch(self, seconds: float, records_max: int) -> list[Found]:
        try:
            fetched = self._consumer.poll(timeout_ms=seconds * 1000, max_records=records_max)
        except OffsetOutOfRangeError as error:
            tp, offset = next(iter(error.args[0].items()))
            raise Lost(TopicPartition(tp.topic, tp.partition), offset) from error
        except LogTruncationError as error:
            tp = next(iter(error.divergent_offsets))
            known = TopicPartition(tp.topic, tp.partition)
            raise Lost(known, self._positions[known]) from error
        except RetriableError:
            time.sleep(min(seconds, 0.1))
            return []
        except KafkaError as error:
            # Its text may quote bytes of a record.
            raise LogError(
                f"Kafka refuses to be read: {type(error).__name__}. See kafka.security and the broker's log."
            ) from error
        found = []
        for tp, records in fetched.items():
            size = sum(max(0, each.serialized_key_size) + max(0, each.serialized_value_size) for each in records)
            taken = [Record(each.offset, each.key, each.value, each.timestamp) for each in records]
            found += self._passed(TopicPartition(tp.topic, tp.partition), taken, size)
        for known, quiet in list(self._watched.quiet.items()):
            if quiet.offset > self._positions.get(known, quiet.offset):
                found += self._passed(known, [], 0)  # a gap at the end: nothing but transaction markers
        return found

    def quiet(self) -> Mapping[TopicPartition, Quiet]:
        return self._watched.quiet

    def answered_at(self) -> float:
        answered = self._watched.answered
        return min((answered.get(tp, self._assigned_at) for tp in self._positions), default=time.monotonic())

    def doubtful(self) -> Mapping[TopicPartition, int]:
        return self._watched.doubts

    def settle(self, tp: TopicPartition, doubt: int, end: int) -> None:
        self._watched.settle(tp, doubt, end)

    def close(self) -> None:
        self._consumer.close(autocommit=False, timeout_ms=2_000)

    def _passed(self, tp: TopicPartition, records: list[Record], size: int) -> list[Found]:
        start = self._positions.get(tp)
        if start is None:
            return []
        end = self._consumer.position(KafkaPartition(*tp))
        if end == start:
            return []
        self._positions[tp] = end
        return [Found(tp, start, end, records, size)]
