"""Reading Kafka without ever waiting for it: a thread fetches into a bounded queue, the dataflow takes from it.

What is promised of every log is in `state.records.Reader`; what is Kafka's own:

- Only committed transactions are read (`read_committed`): records of one that is open, and all behind it in its
  partition, appear when it ends. "Appended" in the promise about `idle_at` means committed.
- The queue holds `RECORDS_MAX` records or `BYTES_MAX` bytes; then fetching stops, and with it nothing else: the
  connections are kept alive by the client's own thread.
- A position outside the log is never corrected silently: `poll` raises `LogError` with the choices.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from connectors.kafka.desk import Desk
from connectors.kafka.fetching import Fetching, Found, Lost, Notice, Quiet
from connectors.kafka.lost import outside, unknown
from connectors.kafka.wake import Wake
from state.records import Fetched, LogError, TopicPartition

RECORDS_MAX = 50_000
BYTES_MAX = 32 << 20
FETCH_RECORDS_MAX = 1_000
FETCH_SECONDS_MAX = 0.1
IDLE_REPORT_SECONDS = 0.1
ERRAND_SECONDS = 3.0
_log = logging.getLogger("impuls.kafka")


class KafkaReader:
    """`state.records.Reader` over Kafka, for one thread. `fileno` is readable when `poll` has something new."""

    def __init__(
        self, bootstrap_servers: str, *, group: str, security: Mapping[str, Any], client: str = "kafka-python"
    ) -> None:
        self._wake = Wake()
        self._desk = Desk(bootstrap_servers, group, security)
        self._connect = partial(_fetching, client, bootstrap_servers, group, security, self._notice)
        self._fetching: Fetching | None = None  # made at the first `assign`: who only asks needs none
        self._lock = threading.Lock()
        self._queue: deque[Found] = deque()
        self._records, self._bytes = 0, 0
        self._room = threading.Event()
        self._wanted: dict[TopicPartition, int] | None = None
        self._queued: dict[TopicPartition, int] = {}  # up to where the queue goes
        self._given: dict[TopicPartition, int] = {}  # up to where the caller has got
        self._idle_at: dict[TopicPartition, float] = {}
        self._report_at = 0.0
        self._failure: LogError | None = None
        self._to_commit: dict[TopicPartition, int] = {}
        self._partitions: dict[str, Sequence[int]] = {}
        self._errand = threading.Event()
        self._closed = False
        self._threads = [threading.Thread(target=self._run_errands, name="kafka-errands", daemon=True)]
        self._threads[0].start()

    # -- the caller's side

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        added = {tp: offset for tp, offset in positions.items() if tp not in self._given}
        if added:
            self._check(added)
        with self._lock:
            self._given = {tp: self._given.get(tp, offset) for tp, offset in positions.items()}
            self._idle_at = {tp: at for tp, at in self._idle_at.items() if tp in positions}
            self._wanted = dict(self._given)
        self._room.set()
        if self._fetching is None:
            self._fetching = self._connect()
            self._threads.append(
                threading.Thread(target=self._fetch_always, args=[self._fetching], name="kafka-reader", daemon=True)
            )
            self._threads[-1].start()

    def poll(self, records_max: int) -> Sequence[Fetched]:
        self._wake.clear()
        fetched: list[Fetched] = []
        left = records_max
        while left > 0 and self._queue:
            left -= self._take(left, fetched)
        if self._queue:
            self._wake.set()
        elif self._failure is not None and not fetched:
            raise self._failure
        if self._fetching is not None and time.monotonic() >= self._report_at:
            self._report_idle(self._fetching.quiet(), fetched)
        return fetched

    def wait(self, seconds: float) -> None:
        self._wake.wait(seconds)

    def fileno(self) -> int:
        return self._wake.fileno()

    def partitions(self, topic: str) -> Sequence[int]:
        """As of a few seconds ago; the first question about a topic waits for Kafka."""
        known = self._partitions.get(topic)
        if known is None:
            known = self._partitions[topic] = self._desk.partitions(topic)
        return known

    def beginnings(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return self._desk.beginnings(partitions)

    def ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return self._desk.ends(partitions)

    def at_time(self, partitions: Sequence[TopicPartition], timestamp_ms: int) -> dict[TopicPartition, int]:
        return self._desk.at_time(partitions, timestamp_ms)

    def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        with self._lock:
            self._to_commit.update(positions)
        self._errand.set()

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return self._desk.committed(partitions)

    def last_fetch_age_seconds(self) -> float:
        """Of the partition that waits longest. While the queue is full nothing is fetched and nothing ages."""
        if self._fetching is None or self._is_full():
            return 0.0
        return max(0.0, time.monotonic() - self._fetching.answered_at())

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._room.set()
        self._errand.set()
        for thread in self._threads:
            thread.join(5.0)
        if self._fetching is not None:
            self._fetching.close()
        self._desk.close()
        self._wake.close()

    def _check(self, positions: Mapping[TopicPartition, int]) -> None:
        """Here and not at the first fetch, so that a start with lost positions fails before anything is done."""
        for topic in {tp.topic for tp in positions}:
            there = set(self._desk.partitions(topic))
            for tp in positions:
                if tp.topic == topic and tp.partition not in there:
                    raise unknown(tp, len(there))
        firsts, ends = self._desk.beginnings(list(positions)), self._desk.ends(list(positions))
        for tp, offset in positions.items():
            if not firsts[tp] <= offset <= ends[tp]:
                raise outside(tp, offset, firsts[tp], ends[tp])

    def _take(self, records_max: int, fetched: list[Fetched]) -> int:
        """Moves the next find, or as much of it as is allowed, from the queue to the caller."""
        with self._lock:
            found = self._queue.popleft()
            tp, start, end, records, size = found
            if len(records) > records_max:
                records, rest = records[:records_max], records[records_max:]
                end, share = rest[0].offset, size * len(records) // len(found.records)
                self._queue.appendleft(Found(tp, end, found.end, rest, size - share))
                size = share
            self._records -= len(records)
            self._bytes -= size
            # Not where the caller is: fetched for an assignment that is no more.
            wanted = self._given.get(tp) == start
            if wanted:
                self._given[tp] = end
        if not self._room.is_set() and not self._is_full():
            self._room.set()
        if wanted:
            fetched.append(Fetched(tp.topic, tp.partition, start, end, records, None))
        return len(records)

    def _report_idle(self, findings: Mapping[TopicPartition, Quiet], fetched: list[Fetched]) -> None:
        self._report_at = time.monotonic() + IDLE_REPORT_SECONDS
        for tp, quiet in list(findings.items()):
            given = self._given.get(tp)
            # All below `quiet.offset` is with the caller, and nothing else is on its way.
            if given is None or given < quiet.offset or self._queued.get(tp, given) != given:
                continue
            if quiet.began > self._idle_at.get(tp, 0.0):
                self._idle_at[tp] = quiet.began
                fetched.append(Fetched(tp.topic, tp.partition, given, given, (), quiet.began))

    def _notice(self) -> None:
        """Called by the client's thread when a fetch has come back."""
        if time.monotonic() >= self._report_at:
            self._wake.set()
        if self._fetching is not None and self._fetching.doubtful():
            self._errand.set()

    # -- the thread that fetches

    def _fetch_always(self, fetching: Fetching) -> None:
        try:
            while not self._closed:
                self._fetch_once(fetching)
        except Lost as lost:
            self._failure = self._explain(lost)
        except LogError as error:
            self._failure = error
        except Exception as error:  # A bug, here or in the client: the dataflow must hear of it.
            _log.exception("kafka reader failed")
            self._failure = LogError(
                f"Reading Kafka failed: {type(error).__name__}. The log of this process has the traceback."
            )
        self._wake.set()

    def _fetch_once(self, fetching: Fetching) -> None:
        with self._lock:
            wanted, self._wanted = self._wanted, None
        if wanted is not None:
            fetching.assign(wanted)
            self._queued = {tp: self._queued.get(tp, offset) for tp, offset in wanted.items()}
        if self._is_full():
            self._room.clear()
            if self._is_full():
                self._room.wait(FETCH_SECONDS_MAX)
                return
        if found := fetching.fetch(FETCH_SECONDS_MAX, FETCH_RECORDS_MAX):
            with self._lock:
                for each in found:
                    self._queue.append(each)
                    self._queued[each.tp] = each.end
                    self._records += len(each.records)
                    self._bytes += each.size
            self._wake.set()

    def _is_full(self) -> bool:
        return self._records >= RECORDS_MAX or self._bytes >= BYTES_MAX

    def _explain(self, lost: Lost) -> LogError:
        try:
            first, end = self._desk.beginnings([lost.tp])[lost.tp], self._desk.ends([lost.tp])[lost.tp]
        except LogError:
            return outside(lost.tp, lost.offset, None, None)
        return outside(lost.tp, lost.offset, first, end)

    # -- the thread that asks and commits

    def _run_errands(self) -> None:
        look_at = time.monotonic() + ERRAND_SECONDS
        while not self._closed:
            self._errand.wait(max(0.0, look_at - time.monotonic()))
            self._errand.clear()
            try:
                self._settle()
                self._put_commits()
                if time.monotonic() >= look_at:
                    look_at = time.monotonic() + ERRAND_SECONDS
                    for topic in list(self._partitions):
                        self._partitions[topic] = self._desk.partitions(topic, ERRAND_SECONDS)
            except LogError as error:
                _log.warning("kafka does not answer", extra={"fact": str(error)})
                self._pause()
        try:
            self._put_commits()
        except LogError as error:
            _log.warning("last commit not made", extra={"fact": str(error)})

    def _settle(self) -> None:
        if self._fetching is None:
            return
        doubts = dict(self._fetching.doubtful())
        for tp, end in self._desk.ends(list(doubts), ERRAND_SECONDS).items():
            self._fetching.settle(tp, doubts[tp], end)

    def _put_commits(self) -> None:
        with self._lock:
            positions, self._to_commit = self._to_commit, {}
        if not positions:
            return
        try:
            self._desk.commit(positions, ERRAND_SECONDS)
        except LogError:
            with self._lock:
                self._to_commit = {**positions, **self._to_commit}
            raise

    def _pause(self) -> None:
        """So that an outage does not become a busy loop; `close` cuts it short."""
        self._errand.clear()
        if not self._closed:
            self._errand.wait(1.0)
            self._errand.set()


def _fetching(client: str, servers: str, group: str, security: Mapping[str, Any], notice: Notice) -> Fetching:
    if client == "kafka-python":
        from connectors.kafka.fetch_kafka_python import KafkaPythonFetching

        return KafkaPythonFetching(servers, group, security, notice)
    if client == "librdkafka":
        from connectors.kafka.librdkafka import LibrdkafkaFetching

        return LibrdkafkaFetching(servers, group, security, notice)
    raise LogError(f'kafka.client is "{client}". Choose kafka-python or librdkafka.')
