"""Writing to the embedded log: a bounded buffer, one thread that appends, answers in order."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from connectors.log.appender import SEGMENT_BYTES_MAX, Appender
from connectors.log.doorbell import Ringer
from connectors.log.folders import partitions
from state.records import Ack, LogError, TopicPartition

RECORD_BYTES_MAX = 1 << 20
BUFFER_RECORDS_MAX = 20_000
BUFFER_BYTES_MAX = 64 << 20
BATCH_RECORDS_MAX = 2_000
_RETRY_SECONDS_MAX = 5.0


class _Sent(NamedTuple):
    topic: str
    key: bytes | None
    value: bytes
    token: object


class LogWriter:
    """`state.records.Writer` over an embedded log.  `fsync`: acknowledged means it survives a power cut."""

    def __init__(
        self,
        root: Path,
        *,
        fsync: bool = False,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._root, self._fsync, self._segment_bytes_max, self._wall = root, fsync, segment_bytes_max, wall
        self._appenders: dict[TopicPartition, Appender] = {}
        self._counts: dict[str, int] = {}
        self._turns = itertools.count()
        self._ringer = Ringer(root)
        self._buffer: deque[_Sent] = deque()
        self._bytes = 0
        self._busy = False
        self._acks: deque[Ack] = deque()
        self._more = threading.Condition()
        self._answered = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def send(self, topic: str, key: bytes | None, value: bytes, token: object = None) -> bool:
        with self._more:
            if len(self._buffer) >= BUFFER_RECORDS_MAX or self._bytes >= BUFFER_BYTES_MAX or self._closed:
                return False
            self._buffer.append(_Sent(topic, key, value, token))
            self._bytes += len(value)
            self._more.notify()
        return True

    def acknowledged(self) -> Sequence[Ack]:
        if not self._acks:
            return ()
        self._answered.clear()
        taken: list[Ack] = []
        while self._acks:
            taken.append(self._acks.popleft())
        return taken

    def wait(self, seconds: float) -> None:
        self._answered.wait(seconds)

    def flush(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        with self._more:
            while self._buffer or self._busy:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._more.wait(min(left, 0.05))
        return True

    def close(self) -> None:
        with self._more:
            if self._closed:
                return
            self._closed = True
            self._more.notify()
        self._thread.join(10)
        for appender in self._appenders.values():
            appender.close()
        self._ringer.close()

    # -- the thread

    def _run(self) -> None:
        while True:
            with self._more:
                self._busy = False
                self._more.notify_all()
                while not self._buffer:
                    if self._closed:
                        return
                    self._more.wait()
                batch = [self._buffer.popleft() for _ in range(min(len(self._buffer), BATCH_RECORDS_MAX))]
                self._bytes -= sum(len(sent.value) for sent in batch)
                self._busy = True
            self._append(batch)

    def _append(self, batch: list[_Sent]) -> None:
        shares: dict[TopicPartition, list[_Sent]] = {}
        for sent in batch:
            try:
                shares.setdefault(self._place(sent), []).append(sent)
            except LogError as error:
                self._answer(sent, str(error))
        for tp, share in shares.items():
            if self._keep_trying(tp, [(sent.key, sent.value) for sent in share]):
                self._ringer.ring([tp])
                for sent in share:
                    self._answer(sent, None)

    def _keep_trying(self, tp: TopicPartition, records: list[tuple[bytes | None, bytes | None]]) -> bool:
        """Until the disk takes it: a full disk is somebody's to free, not ours to forget records over."""
        pause = 0.05
        while True:
            try:
                appender = self._appenders.get(tp)
                if appender is None:
                    appender = self._appenders[tp] = Appender(
                        self._root, tp, fsync=self._fsync, segment_bytes_max=self._segment_bytes_max
                    )
                appender.append(round(self._wall() * 1000), records)
            except (OSError, LogError):
                if self._closed:
                    return False
                time.sleep(pause)
                pause = min(pause * 2, _RETRY_SECONDS_MAX)
            else:
                return True

    def _place(self, sent: _Sent) -> TopicPartition:
        if len(sent.value) + len(sent.key or b"") > RECORD_BYTES_MAX:
            raise LogError(f"a record of {len(sent.value)} bytes: at most {RECORD_BYTES_MAX} are taken")
        count = self._counts.get(sent.topic) or partitions(self._root, sent.topic)
        if not count:
            raise LogError(f"topic {sent.topic}: there is no such topic. Create it first.")
        self._counts[sent.topic] = count
        number = next(self._turns) if sent.key is None else crc32(sent.key)
        return TopicPartition(sent.topic, number % count)

    def _answer(self, sent: _Sent, error: str | None) -> None:
        if sent.token is not None:
            self._acks.append(Ack(sent.token, error))
            self._answered.set()
