"""What the shards of one process share while they run, and what leaves them: the publisher.

The publisher hands outbox rows to the log and takes its acknowledgements back to the shards, which
then forget the rows.  What the log has no room for stays in the outbox until it has.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import msgspec

from operators.crossing import is_moving
from operators.shard import Shard
from state.messages import MESSAGES, Message
from state.records import Writer
from state.store import Row

log = logging.getLogger("impuls.publisher")

IN_FLIGHT_MAX = 10_000
BACKLOG_ROWS = 1_000
SYNCS_MAX = 8

_attempt = msgspec.json.Decoder(Message)


class Publisher:
    """Publishes the outboxes of a process in order, each shard's after its first results are read.

    With `power` the stores are synced, side by side and between two rounds of the dataflow, before their
    rows leave.  Never waits for the log.
    """

    def __init__(self, writer: Writer, *, power: bool) -> None:
        self._writer = writer
        self._shards: dict[int, Shard] = {}
        self._sent_to: dict[int, int] = {}  # the last row of each shard that was handed over
        self._backlog: set[int] = set()
        self._unsynced: set[int] = set()
        self._in_flight = 0
        self._is_full = False
        self._refused = 0
        self._syncs = ThreadPoolExecutor(SYNCS_MAX, "sync") if power else None

    def add(self, shard: Shard) -> None:
        self._shards[shard.number] = shard
        self._sent_to[shard.number] = -1
        self._backlog.add(shard.number)

    @property
    def in_flight(self) -> int:
        return self._in_flight

    @property
    def has_backlog(self) -> bool:
        return bool(self._backlog or self._unsynced)

    @property
    def refused(self) -> int:
        """Rows that the log refused for good; each is in the store's decisions, and an alarm."""
        return self._refused

    def publish(self, shard: Shard) -> None:
        """Send what this shard has written since the last call, or note that it is to be synced first."""
        if not shard.outbox.ready:
            return
        if self._syncs is not None:
            self._unsynced.add(shard.number)
        else:
            self._publish(shard)

    def turn(self) -> None:
        """Between two rounds: take acknowledgements, sync what waits for it, send what had to wait."""
        self.collect()
        if self._unsynced and self._syncs is not None:
            going = [self._shards[number] for number in self._unsynced]
            self._unsynced.clear()
            list(self._syncs.map(lambda shard: shard.store.sync(), going))
            for shard in going:
                self._publish(shard)
        if self._backlog and not self._is_full:
            for number in sorted(self._backlog):
                self._catch_up(self._shards[number])

    def collect(self) -> None:
        """Take the log's answers back to the shards."""
        for ack in self._writer.acknowledged():
            number, seq = cast("tuple[int, int]", ack.token)
            self._in_flight -= 1
            self._is_full = False
            if ack.error is not None:
                self._refused += 1
                log.error("the log refused a record", extra={"shard": number, "fact": ack.error})
            self._shards[number].outbox.acknowledge(seq)

    def _publish(self, shard: Shard) -> None:
        rows, shard.outbox.ready = shard.outbox.ready, []
        if shard.number in self._backlog or not shard.clock.settled:
            self._backlog.add(shard.number)  # in order: what is older goes first, from the store
        else:
            self._send(shard, rows)

    def _catch_up(self, shard: Shard) -> None:
        """Send what had to wait, from the store."""
        if not shard.clock.settled or self._in_flight >= IN_FLIGHT_MAX:
            return
        rows = shard.store.outbox(self._sent_to[shard.number], BACKLOG_ROWS)
        if self._syncs is not None and rows:
            shard.store.sync()
        if self._send(shard, rows, check=True) and len(rows) < BACKLOG_ROWS:
            self._backlog.discard(shard.number)

    def _send(self, shard: Shard, rows: Iterable[Row], *, check: bool = False) -> bool:
        """Whether all were taken.  `check`: leave out messages whose result has been read meanwhile."""
        for row in rows:
            if check and not is_wanted(shard, row):
                shard.outbox.acknowledge(row.seq)
                self._sent_to[shard.number] = row.seq
                continue
            if self._in_flight >= IN_FLIGHT_MAX or not self._writer.send(
                row.topic, row.key, row.value, (shard.number, row.seq)
            ):
                self._is_full = self._in_flight > 0  # its acknowledgements say when to go on
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


def is_wanted(shard: Shard, row: Row) -> bool:
    """Whether a row from an earlier run is still to be published: not a message whose result is known by now."""
    if row.topic != MESSAGES:
        return True
    message = _attempt.decode(row.value)
    customer = shard.residents.entry(row.owner, message.customer).customer
    return is_moving(customer, message) or any(
        each.message_id == message.message_id and each.awaiting and each.attempt == message.attempt
        for each in customer.pending
    )
