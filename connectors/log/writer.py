"""Writing to the embedded log: a bounded buffer, one thread that appends, answers in order."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from prometheus_client import Counter

from connectors.log.appender import SEGMENT_BYTES_MAX, Appender
from connectors.log.doorbell import Ringer
from connectors.log.folders import partitions
from state.records import Ack, LogError, TopicPartition

log = logging.getLogger("impuls.log")
FAILURES = Counter("impuls_log_append_failures_total", "Appends that the disk or a damaged file refused", ["topic"])

RECORD_BYTES_MAX = 1 << 20
BUFFER_RECORDS_MAX = 20_000
BUFFER_BYTES_MAX = 64 << 20
BATCH_RECORDS_MAX = 2_000
FRAME_BYTES_MAX = 4 << 20
CLOSE_SECONDS_MAX = 10.0
_RETRY_SECONDS_MIN, _RETRY_SECONDS_MAX = 0.05, 5.0
_TOLD_SECONDS = 30.0


class _Sent(NamedTuple):
    topic: str
    key: bytes | None
    value: bytes
    token: object


@dataclass
class _Queue:
    """What is to be appended to one partition, in order; after a failure not before `retry_at`."""

    waiting: deque[_Sent] = field(default_factory=deque)
    frame: list[_Sent] = field(default_factory=list)  # being appended; after a failure the same again
    appender: Appender | None = None
    retry_at: float = 0.0
    pause: float = 0.0
    told_at: float = 0.0

    def next_frame(self) -> list[_Sent]:
        size = 0
        while not self.frame or (self.waiting and len(self.frame) < BATCH_RECORDS_MAX and size < FRAME_BYTES_MAX):
            self.frame.append(self.waiting.popleft())
            size += len(self.frame[-1].value)
        return self.frame


class LogWriter:
    """`state.records.Writer` over an embedded log.  `fsync`: acknowledged means it survives a power cut.

    A partition that cannot be appended to (a full disk, a damaged file) is tried again for ever, and told of in the
    log and the metrics; the others go on until the buffer is full of its records.
    """

    def __init__(
        self,
        root: Path,
        *,
        fsync: bool = False,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._root, self._fsync, self._segment_bytes_max, self._wall = root, fsync, segment_bytes_max, wall
        self._queues: dict[TopicPartition, _Queue] = {}
        self._counts: dict[str, int] = {}
        self._turns = itertools.count()
        self._ringer = Ringer(root)
        self._buffer: deque[_Sent] = deque()
        self._records = self._bytes = 0  # handed over, not in the log yet
        self._acks: deque[Ack] = deque()
        lock = threading.Lock()
        self._more, self._done = threading.Condition(lock), threading.Condition(lock)
        self._answered = threading.Event()
        self._closed = False
        self._give_up_at = float("inf")
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def send(self, topic: str, key: bytes | None, value: bytes, token: object = None) -> bool:
        with self._more:
            if self._records >= BUFFER_RECORDS_MAX or self._bytes >= BUFFER_BYTES_MAX or self._closed:
                return False
            self._buffer.append(_Sent(topic, key, value, token))
            self._records += 1
            self._bytes += len(value)
            self._more.notify()
        return True

    def acknowledged(self) -> Sequence[Ack]:
        self._answered.clear()
        taken: list[Ack] = []
        while self._acks:
            taken.append(self._acks.popleft())
        return taken

    def wait(self, seconds: float) -> None:
        self._answered.wait(seconds)

    def flush(self, seconds: float) -> bool:
        with self._done:
            return self._done.wait_for(lambda: not self._records, seconds)

    def close(self) -> None:
        """Hand all that is left to the disk.  What it does not take within seconds is told of and given up."""
        with self._more:
            if self._closed:
                return
            self._closed = True
            self._give_up_at = time.monotonic() + CLOSE_SECONDS_MAX
            self._more.notify()
        self._thread.join(CLOSE_SECONDS_MAX + 1)
        if self._records:
            log.error("closed with records that the log did not take", extra={"records": self._records})
        if self._thread.is_alive():
            return  # it waits for a lock; its files are its own until the process ends
        for queue in self._queues.values():
            if queue.appender is not None:
                queue.appender.close()
        self._ringer.close()

    # -- the thread

    def _run(self) -> None:
        while (batch := self._take()) is not None:
            for sent in batch:
                self._line_up(sent)
            now = time.monotonic()
            for tp, queue in self._queues.items():
                while (queue.frame or queue.waiting) and queue.retry_at <= now and self._append(tp, queue):
                    pass

    def _take(self) -> list[_Sent] | None:
        """What was handed over, as soon as there is some or something is to be tried again; None at the end."""
        with self._more:
            while not self._buffer:
                now = time.monotonic()
                if self._closed and (not self._records or now >= self._give_up_at):
                    return None
                retry_at = min((q.retry_at for q in self._queues.values() if q.frame), default=None)
                if retry_at is not None and retry_at <= now:
                    return []
                self._more.wait(None if retry_at is None else min(retry_at, self._give_up_at) - now)
            batch = list(self._buffer)
            self._buffer.clear()
        return batch

    def _line_up(self, sent: _Sent) -> None:
        try:
            tp = self._place(sent)
        except LogError as error:
            self._answer([sent], str(error))
        else:
            self._queues.setdefault(tp, _Queue()).waiting.append(sent)

    def _append(self, tp: TopicPartition, queue: _Queue) -> bool:
        """Append one frame; whether the disk took it: a full one is somebody's to free, not ours to forget over."""
        frame = queue.next_frame()
        try:
            if queue.appender is None:
                queue.appender = Appender(self._root, tp, fsync=self._fsync, segment_bytes_max=self._segment_bytes_max)
            queue.appender.append(round(self._wall() * 1000), [(sent.key, sent.value) for sent in frame])
        except (OSError, LogError) as error:
            self._failed(tp, queue, error)
            return False
        if queue.pause:
            log.warning("appending again", extra={"place": f"{tp.topic}/{tp.partition}"})
            queue.pause = queue.told_at = 0.0
        queue.frame = []
        self._ringer.ring([tp])
        self._answer(frame, None)
        return True

    def _failed(self, tp: TopicPartition, queue: _Queue, error: Exception) -> None:
        now = time.monotonic()
        queue.pause = min(max(queue.pause * 2, _RETRY_SECONDS_MIN), _RETRY_SECONDS_MAX)
        queue.retry_at = now + queue.pause
        FAILURES.labels(tp.topic).inc()
        if now >= queue.told_at:
            queue.told_at = now + _TOLD_SECONDS
            waiting = len(queue.frame) + len(queue.waiting)
            extra = {"place": f"{tp.topic}/{tp.partition}", "fact": str(error), "records_waiting": waiting}
            log.error("cannot append", extra=extra)

    def _place(self, sent: _Sent) -> TopicPartition:
        if len(sent.value) + len(sent.key or b"") > RECORD_BYTES_MAX:
            raise LogError(f"a record of {len(sent.value)} bytes: at most {RECORD_BYTES_MAX} are taken")
        count = self._counts.get(sent.topic) or partitions(self._root, sent.topic)
        if not count:
            raise LogError(f"topic {sent.topic}: there is no such topic. Create it first.")
        self._counts[sent.topic] = count
        number = next(self._turns) if sent.key is None else crc32(sent.key)
        return TopicPartition(sent.topic, number % count)

    def _answer(self, sent: list[_Sent], error: str | None) -> None:
        self._acks.extend(Ack(each.token, error) for each in sent if each.token is not None)
        self._answered.set()
        with self._done:
            self._records -= len(sent)
            self._bytes -= sum(len(each.value) for each in sent)
            if not self._records:
                self._done.notify_all()
