"""Writing to Kafka without ever waiting for it: a thread hands over what is in a bounded buffer, and hands it over
again, in order, to a new client when the one it has breaks.

A record whose fate a broken client left open is sent again, so it may stand in the log twice; none is left out, and
within a partition none comes before one that was sent earlier for the first time. Every fault but a refusal of the
record itself is tried again for ever: a topic that is missing, a user that may not write, a broker that is away are
somebody's to mend, and until then the buffer is full and `send` says so.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from connectors.kafka.clients import producing_by
from connectors.kafka.producing import Outcome, Producing
from connectors.kafka.wake import Wake
from state.records import Ack

RECORDS_MAX = 20_000
BYTES_MAX = 64 << 20
CLOSE_SECONDS_MAX = 10.0
PAUSE_SECONDS_MAX = 5.0
_log = logging.getLogger("impuls.kafka")


class _Entry:
    """A record until it is answered. `tries` tells the answers of a client that was given up from those that count."""

    __slots__ = ("answered", "key", "size", "token", "topic", "tries", "value")

    def __init__(self, topic: str, key: bytes | None, value: bytes, token: object) -> None:
        self.topic, self.key, self.value, self.token = topic, key, value, token
        self.size = len(value) + len(key or b"")
        self.answered = False
        self.tries = 0


class KafkaWriter:
    """`state.records.Writer` over Kafka, for one thread. `fileno` is readable when `acknowledged` has something new."""

    def __init__(self, bootstrap_servers: str, *, security: Mapping[str, Any], client: str = "kafka-python") -> None:
        self._connect = producing_by(client, bootstrap_servers, security)
        self._wake = Wake()
        self._change = threading.Condition()
        self._new: deque[_Entry] = deque()
        self._sent: dict[_Entry, None] = {}  # in the order they were sent for the first time
        self._bytes = 0
        self._acks: deque[Ack] = deque()
        self._broken = ""
        self._progress = False
        self._closed = False
        self._thread = threading.Thread(target=self._send_always, name="kafka-writer", daemon=True)
        self._thread.start()

    # -- the caller's side

    def send(self, topic: str, key: bytes | None, value: bytes, token: object = None) -> bool:
        entry = _Entry(topic, key, value, token)
        with self._change:
            full = len(self._new) + len(self._sent) >= RECORDS_MAX or self._bytes + entry.size > BYTES_MAX
            if self._closed or (full and self._bytes):
                return False
            self._new.append(entry)
            self._bytes += entry.size
            if len(self._new) == 1:
                self._change.notify_all()
        return True

    def acknowledged(self) -> Sequence[Ack]:
        self._wake.clear()
        taken = []
        while self._acks:
            taken.append(self._acks.popleft())
        return taken

    def wait(self, seconds: float) -> None:
        self._wake.wait(seconds)

    def fileno(self) -> int:
        return self._wake.fileno()

    def flush(self, seconds: float) -> bool:
        with self._change:
            return self._change.wait_for(lambda: not self._new and not self._sent, seconds)

    def close(self) -> None:
        """Waits a while for what was handed over; what is not answered by then may be in the log or not."""
        if self._closed:
            return
        self.flush(CLOSE_SECONDS_MAX)
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._thread.join(CLOSE_SECONDS_MAX)
        self._wake.close()

    # -- the thread that sends

    def _send_always(self) -> None:
        pauses = _pauses()
        while self._await_work():
            self._send_again()
            try:
                client = self._connect()
            except Exception as error:  # Whatever it is, only time or a person can mend it.
                self._broken = type(error).__name__
            else:
                self._use(client)
                client.close()
            if self._closed:
                return
            if self._progress:
                pauses, self._progress = _pauses(), False
            _log.warning("kafka writer connects anew", extra={"fact": self._broken, "waiting": len(self._sent)})
            with self._change:
                self._change.wait_for(lambda: self._closed, next(pauses))

    def _await_work(self) -> bool:
        with self._change:
            self._change.wait_for(lambda: self._new or self._sent or self._closed)
            return not self._closed

    def _send_again(self) -> None:
        """All that was sent and not answered stands before all that is new."""
        with self._change:
            self._new.extendleft(reversed(self._sent))
            self._sent.clear()
            self._broken = ""

    def _use(self, client: Producing) -> None:
        """Until it breaks."""
        while True:
            with self._change:
                self._change.wait_for(lambda: self._new or self._broken or self._closed)
                if self._broken or self._closed:
                    return
                batch = [entry for entry in self._new if not entry.answered]
                self._new.clear()
                self._sent.update(dict.fromkeys(batch))
            for entry in batch:
                if self._broken:
                    break  # they stand among the sent, and are sent again with them
                entry.tries += 1
                client.send(entry.topic, entry.key, entry.value, partial(self._answered, entry, entry.tries))

    # -- any thread of the client's

    def _answered(self, entry: _Entry, tries: int, outcome: Outcome, fact: str) -> None:
        with self._change:
            # That it is in the log is worth knowing whoever says it; that it is not, only from the latest.
            if entry.answered or (outcome is not Outcome.DONE and tries != entry.tries):
                return
            if outcome is Outcome.BROKEN:
                self._broken = self._broken or fact
                self._change.notify_all()
                return
            entry.answered = self._progress = True
            self._sent.pop(entry, None)
            self._bytes -= entry.size
            if not self._sent and not self._new:
                self._change.notify_all()
        if entry.token is not None:
            refusal = f"Kafka refuses a record of {entry.size} bytes for topic {entry.topic}: {fact}."
            self._acks.append(Ack(entry.token, None if outcome is Outcome.DONE else refusal))
            self._wake.set()


def _pauses() -> Iterator[float]:
    pause = 0.05
    while True:
        yield pause * random.uniform(0.5, 1.0)
        pause = min(pause * 2, PAUSE_SECONDS_MAX)
