"""`Fetching` and `Producing` by librdkafka, for those who installed the extra `impuls[librdkafka]`: a fifth of the
processor time of kafka-python for each record.

librdkafka tells when it reached an end, but not again and again: a thread asks the leaders for their ends ten times
a second, and what is read up to an answered end is known to be complete as of the question.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from connectors.kafka.fetching import Found, Lost, Notice, Quiet
from connectors.kafka.producing import Answer, Outcome
from connectors.kafka.security import for_librdkafka
from state.records import LogError, Record, TopicPartition

try:
    from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, Producer
    from confluent_kafka import TopicPartition as KafkaPartition
except ImportError as error:
    raise LogError(
        'kafka.client is "librdkafka", which is not installed. Install the extra impuls[librdkafka] '
        '(the package confluent-kafka), or choose "kafka-python".'
    ) from error

ASK_SECONDS = 0.1
ASK_SECONDS_MAX = 2.0
# Larger records go alone, so that one that is refused takes no other with it.
BATCH_BYTES_MAX = 16_384
REQUEST_BYTES_MAX = 64 << 20
_log = logging.getLogger("impuls.kafka.librdkafka")
_FOR_GOOD = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.INVALID_RECORD,
    KafkaError.TOPIC_EXCEPTION,
}
_NEEDS_A_PERSON = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED}


class LibrdkafkaFetching:
    def __init__(self, bootstrap_servers: str, group: str, security: Mapping[str, Any], notice: Notice) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": group or "impuls",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "allow.auto.create.topics": False,
                "fetch.min.bytes": 1,
                "fetch.wait.max.ms": 100,
                "queued.min.messages": 10_000,
                "queued.max.messages.kbytes": 16_384,
                "reconnect.backoff.max.ms": 1_000,
                "topic.metadata.refresh.interval.ms": 3_000,
                "max.poll.interval.ms": 86_400_000,
                "check.crcs": True,
                "error_cb": _note,
                **for_librdkafka(security),
            },
            logger=_log,
        )
        self._notice = notice
        self._positions: dict[TopicPartition, int] = {}
        self._quiet: dict[TopicPartition, Quiet] = {}
        self._answered: dict[TopicPartition, float] = {}
        self._assigned_at = time.monotonic()
        self._closed = threading.Event()
        self._asking = threading.Thread(target=self._ask_always, name="kafka-ends", daemon=True)
        self._asking.start()

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        removed = self._positions.keys() - positions.keys()
        added = {tp: offset for tp, offset in positions.items() if tp not in self._positions}
        if removed:
            self._consumer.incremental_unassign([KafkaPartition(*tp) for tp in removed])
        if added:
            self._consumer.incremental_assign([KafkaPartition(*tp, offset) for tp, offset in added.items()])
        self._assigned_at = time.monotonic()
        for tp in removed:
            self._answered.pop(tp, None)
            self._quiet.pop(tp, None)
        self._positions = {tp: self._positions.get(tp, offset) for tp, offset in positions.items()}

    def fetch(self, seconds: float, records_max: int) -> list[Found]:
        first = self._consumer.poll(seconds)
        if first is None:
            return []
        found: dict[TopicPartition, list[Message]] = {}
        ends: dict[TopicPartition, int] = {}
        for message in [first, *self._consumer.consume(records_max - 1, 0)]:
            tp = TopicPartition(message.topic() or "", message.partition() or 0)
            if message.error() is None:
                found.setdefault(tp, []).append(message)
            elif (end := self._end(tp, message)) is not None:
                ends[tp] = end
        return [each for tp in {**found, **ends} for each in self._passed(tp, found.get(tp, []), ends.get(tp, 0))]

    def quiet(self) -> Mapping[TopicPartition, Quiet]:
        return self._quiet

    def answered_at(self) -> float:
        return min((self._answered.get(tp, self._assigned_at) for tp in self._positions), default=time.monotonic())

    def doubtful(self) -> Mapping[TopicPartition, int]:
        return {}  # A leader that does not know its end yet says so when it is asked for it.

    def settle(self, tp: TopicPartition, doubt: int, end: int) -> None:
        raise AssertionError("nothing was in doubt")

    def close(self) -> None:
        self._closed.set()
        self._asking.join(ASK_SECONDS_MAX + 1)
        self._consumer.close()

    def _passed(self, tp: TopicPartition, messages: list[Message], end: int) -> list[Found]:
        start = self._positions.get(tp)
        if start is None:
            return []
        records = [
            Record(each.offset() or 0, each.key(), each.value(), each.timestamp()[1])
            for each in messages
            if (each.offset() or 0) >= start
        ]
        end = max(start, end, records[-1].offset + 1 if records else 0)
        if end == start:
            return []
        self._positions[tp] = end
        size = sum(len(each.value or b"") + len(each.key or b"") for each in records)
        return [Found(tp, start, end, records, size)]

    def _end(self, tp: TopicPartition, message: Message) -> int | None:
        error = message.error()
        assert error is not None
        if error.code() == KafkaError._PARTITION_EOF:
            return message.offset()
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE) and tp in self._positions:
            raise Lost(tp, self._positions[tp])
        if error.fatal() or error.code() in _NEEDS_A_PERSON:
            raise LogError(f"Kafka refuses to be read: {error.name()}. See kafka.security and the broker's log.")
        return None  # It passes, and until then the age of the last fetch grows.

    def _ask_always(self) -> None:
        while not self._closed.wait(ASK_SECONDS):
            asked = [KafkaPartition(*tp, OFFSET_END) for tp in self._positions]
            if not asked:
                continue
            began = time.time()
            try:
                answers = self._consumer.offsets_for_times(asked, timeout=ASK_SECONDS_MAX)
            except (KafkaException, RuntimeError):
                continue  # away, or being closed
            now = time.monotonic()
            for answer in answers:
                tp = TopicPartition(answer.topic, answer.partition)
                if answer.error is None and answer.offset >= 0 and tp in self._positions:
                    self._quiet[tp] = Quiet(answer.offset, began)
                    self._answered[tp] = now
            self._notice()


class LibrdkafkaProducing:
    def __init__(self, bootstrap_servers: str, security: Mapping[str, Any]) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 0,
                "message.timeout.ms": 0,
                "partitioner": "murmur2_random",
                "batch.size": BATCH_BYTES_MAX,
                "message.max.bytes": REQUEST_BYTES_MAX,
                "queue.buffering.max.kbytes": 256 << 10,
                "reconnect.backoff.max.ms": 1_000,
                "allow.auto.create.topics": False,
                "error_cb": _note,
                **for_librdkafka(security),
            },
            logger=_log,
        )
        self._broken = False
        self._closed = False
        self._serving = threading.Thread(target=self._serve, name="kafka-deliveries", daemon=True)
        self._serving.start()

    def send(self, topic: str, key: bytes | None, value: bytes, answer: Answer) -> None:
        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is None:
                answer(Outcome.DONE, "")
            elif error.code() in _FOR_GOOD:
                answer(Outcome.REFUSED, error.name())
            else:
                self._break()
                answer(Outcome.BROKEN, f"{error.name()} on topic {topic}")

        if self._broken:
            answer(Outcome.BROKEN, "an earlier record failed")
            return
        try:
            self._producer.produce(topic, value, key, on_delivery=delivered)
        except KafkaException as error:
            refused = error.args[0].code() in _FOR_GOOD
            answer(Outcome.REFUSED if refused else Outcome.BROKEN, error.args[0].name())
        except BufferError:
            answer(Outcome.BROKEN, "librdkafka's own buffer is full")

    def close(self) -> None:
        self._broken = self._closed = True
        self._producer.purge(blocking=False)
        self._serving.join(2.0)

    def _break(self) -> None:
        """What was sent later must not pass what failed."""
        if not self._broken:
            self._broken = True
            self._producer.purge(in_flight=False, blocking=False)

    def _serve(self) -> None:
        while not self._closed:
            self._producer.poll(0.2)
        self._producer.flush(1.0)


def _note(error: KafkaError) -> None:
    """Faults of the connection: they pass, and are seen by the age of the last fetch."""
    _log.debug("librdkafka", extra={"fact": error.name()})
