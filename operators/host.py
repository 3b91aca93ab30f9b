"""What the shards of one process share while they run, and what leaves them: the publisher.

The publisher hands outbox rows to the log and takes its acknowledgements back to the shards, which
then forget the rows.  What the log has no room for stays in the outbox until it has.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import cast

from operators.shard import Shard
from state.records import Writer
from state.store import Row

IN_FLIGHT_MAX = 10_000
BACKLOG_ROWS = 1_000


class Publisher:
    """Publishes the outboxes of a process in order, each shard's after its first results are read.

    With `power` every store is synced before its rows leave.  Never blocks the dataflow for the log.
    """

    def __init__(self, writer: Writer, *, power: bool) -> None:
        self._writer = writer
        self._shards: dict[int, Shard] = {}
        self._sent_to: dict[int, int] = {}  # the last row of each shard that was handed over
        self._backlog: set[int] = set()
        self._in_flight = 0
        self._refused = 0
        self._syncs = ThreadPoolExecutor(8, "sync") if power else None

    def add(self, shard: Shard) -> None:
        self._shards[shard.number] = shard
        self._sent_to[shard.number] = -1
        self._backlog.add(shard.number)

    @property
    def in_flight(self) -> int:
        return self._in_flight

    @property
    def has_backlog(self) -> bool:
        return bool(self._backlog)

    @property
    def refused(self) -> int:
        """Rows that the log refused for good; their loss is an alarm."""
        return self._refused

    def publish(self, shards: Iterable[Shard]) -> None:
        """Send what these shards have written since the last call."""
        self.collect()
        going = [shard for shard in shards if shard.ready]
        if self._syncs and any(self._is_open(shard) for shard in going):
            list(self._syncs.map(lambda shard: shard.store.sync(), going))
        for shard in going:
            rows, shard.ready = shard.ready, []
            if shard.number in self._backlog or not self._is_open(shard):
                self._backlog.add(shard.number)  # in order: what is older goes first
                continue
            self._send(shard, rows)

    def catch_up(self) -> None:
        """Send what had to wait, from the stores."""
        self.collect()
        for number in list(self._backlog):
            shard = self._shards[number]
            if not self._is_open(shard) or self._in_flight >= IN_FLIGHT_MAX:
                continue
            rows = shard.store.outbox(self._sent_to[number], BACKLOG_ROWS)
            if self._syncs and rows:
                shard.store.sync()
            if self._send(shard, rows) and len(rows) < BACKLOG_ROWS:
                self._backlog.discard(number)

    def collect(self) -> None:
        """Take the log's answers back to the shards."""
        for ack in self._writer.acknowledged():
            number, seq = cast("tuple[int, int]", ack.token)
            self._in_flight -= 1
            if ack.error is not None:
                self._refused += 1
            self._shards[number].acked.append(seq)

    def _is_open(self, shard: Shard) -> bool:
        return shard.clock.settled

    def _send(self, shard: Shard, rows: Iterable[Row]) -> bool:
        for row in rows:
            if self._in_flight >= IN_FLIGHT_MAX or not self._writer.send(
                row.topic, row.key, row.value, (shard.number, row.seq)
            ):
                self._backlog.add(shard.number)
                return False
            self._in_flight += 1
            self._sent_to[shard.number] = row.seq
        return True


class Stop:
    """A request to drain, set from a signal handler and read by the sources."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, *_: object) -> None:
        self.asked = True
