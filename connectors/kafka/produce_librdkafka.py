"""`Producing` by librdkafka's idempotent producer."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.kafka.librdkafka import LOG, connection
from connectors.kafka.producing import Answer, Outcome

# Larger records go alone, so that one that is refused takes no other with it.
BATCH_BYTES_MAX = 16_384
REQUEST_BYTES_MAX = 64 << 20
_FOR_GOOD = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.INVALID_RECORD,
    KafkaError.TOPIC_EXCEPTION,
}


class LibrdkafkaProducing:
    def __init__(self, bootstrap_servers: str, security: Mapping[str, Any]) -> None:
        self._producer = Producer(
            {
                **connection(bootstrap_servers, security),
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 0,
                "message.timeout.ms": 0,
                "partitioner": "murmur2_random",
                "batch.size": BATCH_BYTES_MAX,
                "message.max.bytes": REQUEST_BYTES_MAX,
                "queue.buffering.max.kbytes": 256 << 10,
            },
            logger=LOG,
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
