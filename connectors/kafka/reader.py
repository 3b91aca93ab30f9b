"""Reading Kafka without ever waiting for it: a thread fetches into a bounded queue, the dataflow takes from it.

What is promised of every log is in `state.records.Reader`; what is Kafka's own:

- Only committed transactions are read (`read_committed`): records of one that is open, and all behind it in its
  partition, appear when it ends. Until then the partition is not idle: there is something, though it is not given out.
- The queue holds `RECORDS_MAX` records or `BYTES_MAX` bytes, and what one fetch brings on top; then fetching stops, and
  with it nothing else: the connections are kept alive by the client's own thread.
- Partitions take turns of `TURN_RECORDS_MAX` records, so that the backlog of one does not hold up the others.
- A position outside the log is never corrected silently: `poll` raises `LogError` with the choices.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.kafka.clients import fetching_by
from connectors.kafka.desk import SECONDS_MAX, Desk
from connectors.kafka.fetching import Fetching, Found, Lost, Quiet
from connectors.kafka.lost import outside, unknown
from connectors.kafka.wake import Wake
from state.records import Fetched, LogError, TopicPartition

RECORDS_MAX = 50_000
BYTES_MAX = 32 << 20
FETCH_RECORDS_MAX = 20_000
TURN_RECORDS_MAX = 500
FETCH_SECONDS_MAX = 0.1
IDLE_REPORT_SECONDS = 0.1
ERRAND_SECONDS = 3.0
LOOK_SECONDS = 0.5
_log = logging.getLogger("impuls.kafka")


class KafkaReader:
    """`state.records.Reader` over Kafka, for one thread. `fileno` is readable when `poll` has something new."""

    def __init__(
        self, bootstrap_servers: str, *, group: str, security: Mapping[str, Any], client: str = "kafka-python"
    ) -> None:
        self._wake = Wake()
        self._desk = Desk(bootstrap_servers, group, security)
        self._connect = fetching_by(client, bootstrap_servers, group, security)
        self._fetching: Fetching | None = None  # made at the first `assign`: who only asks needs none
        self._lock = threading.Lock()
        self._queues: dict[TopicPartition, deque[Found]] = {}  # none is empty; the first has the next turn
        self._records, self._bytes = 0, 0
        self._room = threading.Event()
        self._wanted: dict[TopicPartition, int] | None = None
        self._moved: set[TopicPartition] = set()  # what the thread still fetches of these is not wanted
        self._queued: dict[TopicPartition, int] = {}  # up to where the queue goes
        self._given: dict[TopicPartition, int] = {}  # up to where the caller has got
        self._idle_at: dict[TopicPartition, float] = {}
        self._report_at = 0.0
        self._failure: LogError | None = None
        self._to_commit: dict[TopicPartition, int] = {}
        self._partitions: dict[str, Sequence[int]] = {}
        self._looked_at: dict[str, float] = {}
        self._errand = threading.Event()
        self._closed = False
        self._threads = [threading.Thread(target=self._run_errands, name="kafka-errands", daemon=True)]
        self._threads[0].start()

    # -- the caller's side

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        moved = {tp: offset for tp, offset in positions.items() if self._given.get(tp) != offset}
        if moved:
            self._check(moved)
        with self._lock:
            self._given = dict(positions)
            self._idle_at = {tp: at for tp, at in self._idle_at.items() if tp in positions and tp not in moved}
            self._wanted = dict(positions)
            self._moved |= moved.keys()
            for tp in [tp for tp in self._queues if tp not in positions or tp in moved]:
                for found in self._queues.pop(tp):
                    self._records -= len(found.records)
                    self._bytes -= found.size
        self._room.set()
        if self._fetching is None:
            self._fetching = self._connect(self._notice)
            self._threads.append(
                threading.Thread(target=self._fetch_always, args=[self._fetching], name="kafka-reader", daemon=True)
            )
            self._threads[-1].start()

    def poll(self, records_max: int) -> Sequence[Fetched]:
        self._wake.clear()
        fetched: list[Fetched] = []
        left = records_max
        while left > 0 and self._queues:
            left -= self._take(left, fetched)
        if self._queues:
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
        """As of half a second ago; the first question about a topic waits for Kafka."""
        if topic not in self._partitions:
            self._look([topic], SECONDS_MAX)
        return self._partitions[topic]

    def looked_at(self, topic: str) -> float:
        return self._looked_at.get(topic, 0.0)

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
        if self._fetching is None or self.is_full():
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
            there = set(self._desk.partitions([topic])[topic])
            for tp in positions:
                if tp.topic == topic and tp.partition not in there:
                    raise unknown(tp, len(there))
        firsts, ends = self._desk.beginnings(list(positions)), self._desk.ends(list(positions))
        for tp, offset in positions.items():
            if not firsts[tp] <= offset <= ends[tp]:
                raise outside(tp, offset, firsts[tp], ends[tp])

    def _take(self, records_max: int, fetched: list[Fetched]) -> int:
        """Gives the caller what the next partition has found, or as much of it as makes a turn."""
        with self._lock:
            tp = next(iter(self._queues))
            queue = self._queues.pop(tp)
            _, start, end, records, size = found = queue.popleft()
            if len(records) > (turn := min(records_max, TURN_RECORDS_MAX)):
                records, rest = records[:turn], records[turn:]
                end, share = rest[0].offset, size * turn // len(found.records)
                queue.appendleft(Found(tp, end, found.end, rest, size - share))
                size = share
            if queue:
                self._queues[tp] = queue
            self._records -= len(records)
            self._bytes -= size
            self._given[tp] = end
        if not self._room.is_set() and not self.is_full():
            self._room.set()
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
            moved, self._moved = self._moved, set()
            if wanted is not None:
                kept = self._queued.keys() - moved
                self._queued = {tp: self._queued[tp] if tp in kept else offset for tp, offset in wanted.items()}
        if wanted is not None:
            fetching.assign({tp: offset for tp, offset in wanted.items() if tp in kept})
            fetching.assign(wanted)
        if self.is_full():
            self._room.clear()
            if self.is_full():
                self._room.wait(FETCH_SECONDS_MAX)
                return
        if found := fetching.fetch(FETCH_SECONDS_MAX, FETCH_RECORDS_MAX):
            with self._lock:
                for each in found:
                    if each.tp in self._moved or each.tp not in self._given:
                        continue
                    self._queues.setdefault(each.tp, deque()).append(each)
                    self._queued[each.tp] = each.end
                    self._records += len(each.records)
                    self._bytes += each.size
            self._wake.set()

    def is_full(self) -> bool:
        """Nothing is fetched until some of it was taken."""
        return self._records >= RECORDS_MAX or self._bytes >= BYTES_MAX

    def _explain(self, lost: Lost) -> LogError:
        try:
            first, end = self._desk.beginnings([lost.tp])[lost.tp], self._desk.ends([lost.tp])[lost.tp]
        except LogError:
            return outside(lost.tp, lost.offset, None, None)
        return outside(lost.tp, lost.offset, first, end)

    # -- the thread that asks and commits

    def _run_errands(self) -> None:
        look_at = time.monotonic() + LOOK_SECONDS
        while not self._closed:
            self._errand.wait(max(0.0, look_at - time.monotonic()))
            self._errand.clear()
            try:
                if time.monotonic() >= look_at:  # the clock waits for this, nothing for a commit
                    look_at = time.monotonic() + LOOK_SECONDS
                    self._look(list(self._partitions), ERRAND_SECONDS)
                self._settle()
                self._put_commits()
            except LogError as error:
                _log.warning("kafka does not answer", extra={"fact": str(error)})
                self._pause()
        try:
            self._put_commits()
        except LogError as error:
            _log.warning("last commit not made", extra={"fact": str(error)})

    def _look(self, topics: Sequence[str], seconds: float) -> None:
        began = time.time()
        self._partitions |= self._desk.partitions(topics, seconds)
        self._looked_at |= dict.fromkeys(topics, began)  # before the answer it would speak for what was not seen yet

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
