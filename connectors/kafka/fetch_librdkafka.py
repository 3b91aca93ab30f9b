"""`Fetching` by librdkafka (`confluent-kafka`): partitions by `assign`, never a member of a group.

librdkafka tells once when it reaches the end of a partition, and not as of when.  So a second thread asks the brokers
ten times a second where the partitions end: at or after that offset there was nothing when the question was put.  The
end asked for is the high watermark: behind a transaction that is still open nothing counts as read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from connectors.kafka.fetching import Found, Lost, Notice, Quiet
from connectors.kafka.librdkafka import LOG, connection
from state.records import LogError, Record, TopicPartition

ASK_SECONDS = 0.1
ANSWER_SECONDS_MAX = 5.0
QUEUE_KBYTES_MAX = 16 << 10
_LOST = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)
_FOR_A_PERSON = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError._AUTHENTICATION,
    KafkaError._FATAL,
)
_LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]


class LibrdkafkaFetching:
    def __init__(self, bootstrap_servers: str, group: str, security: Mapping[str, Any], notice: Notice) -> None:
        common = connection(bootstrap_servers, security)
        self._consumer = Consumer(
            {
                **common,
                "group.id": group or "impuls",  # asked for by the client; nothing is joined or committed here
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "check.crcs": True,
                "fetch.min.bytes": 1,
                "fetch.wait.max.ms": 100,
                "fetch.queue.backoff.ms": 10,
                "queued.min.messages": 10_000,
                "queued.max.messages.kbytes": QUEUE_KBYTES_MAX,
                "max.poll.interval.ms": 86_400_000,  # a full queue may keep us from polling for long
            },
            logger=LOG,
        )
        # Its lines would pile up unread, and say what the consumer's say.
        self._admin = AdminClient({**common, "log_level": 0})
        self._positions: dict[TopicPartition, int] = {}
        self._ends = Ends(self._admin, notice)

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        gone = [tp for tp in self._positions if tp not in positions]
        added = {tp: offset for tp, offset in positions.items() if tp not in self._positions}
        try:
            if gone:
                self._consumer.incremental_unassign([KafkaPartition(*tp) for tp in gone])
            if added:
                self._consumer.incremental_assign([KafkaPartition(*tp, offset) for tp, offset in added.items()])
        except KafkaException as error:
            raise _refusal(error.args[0]) from error
        self._positions = {tp: self._positions.get(tp, offset) for tp, offset in positions.items()}
        self._ends.watch(list(self._positions))

    def fetch(self, seconds: float, records_max: int) -> list[Found]:
        try:
            first = self._consumer.poll(seconds)
            if first is None:
                return []
            messages = [first, *self._consumer.consume(records_max - 1, 0)] if records_max > 1 else [first]
        except KafkaException as error:
            raise _refusal(error.args[0]) from error
        runs: dict[TopicPartition, list[Record]] = {}
        ends: dict[TopicPartition, int] = {}
        sizes: dict[TopicPartition, int] = {}
        for message in messages:
            tp = TopicPartition(message.topic() or "", message.partition() or 0)
            offset, fault = message.offset() or 0, message.error()
            if fault is not None:
                if fault.code() == KafkaError._PARTITION_EOF:
                    ends[tp] = max(offset, ends.get(tp, 0))  # past transaction markers, where there are any
                else:
                    self._judge(fault, tp, offset)
                continue
            key, value = message.key(), message.value()
            sizes[tp] = sizes.get(tp, 0) + len(key or b"") + len(value or b"")
            runs.setdefault(tp, []).append(Record(offset, key, value, message.timestamp()[1]))
            ends[tp] = offset + 1
        return [
            found for tp, end in ends.items() for found in self._passed(tp, end, runs.get(tp, []), sizes.get(tp, 0))
        ]

    def quiet(self) -> Mapping[TopicPartition, Quiet]:
        return self._ends.quiet

    def answered_at(self) -> float:
        return self._ends.answered_at(list(self._positions))

    def doubtful(self) -> Mapping[TopicPartition, int]:
        """None: a new leader that may not know its own end yet says so when it is asked for it (KIP-207)."""
        return {}

    def settle(self, tp: TopicPartition, doubt: int, end: int) -> None:
        del tp, doubt, end

    def close(self) -> None:
        self._ends.close()
        self._consumer.close()

    def _passed(self, tp: TopicPartition, end: int, records: Sequence[Record], size: int) -> list[Found]:
        start = self._positions.get(tp)
        if start is None or end <= start:
            return []
        self._positions[tp] = end
        return [Found(tp, start, end, records, size)]

    def _judge(self, error: KafkaError, tp: TopicPartition, offset: int) -> None:
        """Raises for what does not pass by itself; the rest shows in the age of the last answer."""
        if error.code() in _LOST:
            raise Lost(tp, self._positions.get(tp, offset))
        if error.fatal() or error.code() in _FOR_A_PERSON:
            raise _refusal(error)


class Ends:
    """Asks again and again where partitions end."""

    def __init__(self, admin: AdminClient, notice: Notice) -> None:
        self.quiet: dict[TopicPartition, Quiet] = {}
        self._admin, self._notice = admin, notice
        self._answered: dict[TopicPartition, float] = {}
        self._watched: list[TopicPartition] = []
        self._watched_at = time.monotonic()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._ask_always, name="kafka-ends", daemon=True)
        self._thread.start()

    def watch(self, tps: list[TopicPartition]) -> None:
        self._watched_at = time.monotonic()
        self._watched = tps
        for kept in (self.quiet, self._answered):
            for tp in [tp for tp in kept if tp not in tps]:
                kept.pop(tp, None)

    def answered_at(self, tps: list[TopicPartition]) -> float:
        return min((self._answered.get(tp, self._watched_at) for tp in tps), default=time.monotonic())

    def close(self) -> None:
        self._closed.set()
        self._thread.join(ANSWER_SECONDS_MAX + 1)

    def _ask_always(self) -> None:
        while not self._closed.wait(ASK_SECONDS):
            if self._watched:
                self._ask(self._watched)
                self._notice()

    def _ask(self, watched: list[TopicPartition]) -> None:
        began = time.time()
        try:
            asked = self._admin.list_offsets(
                {KafkaPartition(*tp): _LATEST for tp in watched},
                isolation_level=IsolationLevel.READ_UNCOMMITTED,
                request_timeout=ANSWER_SECONDS_MAX,
            )
        except KafkaException as error:
            LOG.warning("kafka ends not asked", extra={"fact": error.args[0].name()})
            return
        for asked_tp, answer in asked.items():
            tp = TopicPartition(asked_tp.topic, asked_tp.partition)
            try:
                end = answer.result(ANSWER_SECONDS_MAX + 1).offset
            except (KafkaException, TimeoutError):
                continue  # seen in `answered_at`, and no news of the end
            # A leader that did not answer in time comes as a negative offset, and as no error.
            if end >= 0 and tp in self._watched:
                self.quiet[tp] = Quiet(end, began)
                self._answered[tp] = time.monotonic()


def _refusal(error: KafkaError) -> LogError:
    """By name only: its text may quote what it was about."""
    return LogError(f"Kafka refuses to be read: {error.name()}. See kafka.security and the broker's log.")
