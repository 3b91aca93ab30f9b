"""The bare loop: what the job costs without an engine.  Consume, decode, one RocksDB write batch for each poll.

Each event rewrites its customer's record, the batch carries the offsets too, and a reminder leaves when the time of its
partition has passed it.  What is due stands in memory: nothing is read back after a crash, there are no guards, no
decisions, no encryption.  A floor to measure against, not something to run a shop on.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import orjson
from rocksdict import Options, Rdict, WriteBatch

from benchmarks.peers.job import ADDED, ORDERED, PARTITIONS, REMINDED_AFTER_MS

Send = Callable[[bytes, bytes], object]
_record = struct.Struct(">QQ").pack


class Loop:
    """`send` takes a reminder's key and value."""

    def __init__(self, folder: Path, send: Send) -> None:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        self._db = Rdict(str(folder / "state"), options)
        self._send = send
        self._due: dict[bytes, int] = {}
        self._queues: list[deque[tuple[int, bytes]]] = [deque() for _ in range(PARTITIONS)]

    def take(self, partition: int, records: Iterable[tuple[int, bytes, bytes, int]]) -> None:
        """Records of one partition: offset, key, value, time stamp in milliseconds."""
        batch, due, queue = WriteBatch(raw_mode=True), self._due, self._queues[partition]
        last = at = 0
        for offset, customer, value, at in records:
            name = orjson.loads(value).get("event")
            while queue and queue[0][0] < at:
                self._remind(*queue.popleft())
            if name == ADDED:
                due[customer] = at + REMINDED_AFTER_MS
                queue.append((at + REMINDED_AFTER_MS, customer))
            elif name == ORDERED:
                due.pop(customer, None)
            batch.put(customer, _record(at, due.get(customer, 0)))
            last = offset
        batch.put(b"offset-%d" % partition, _record(last, at))
        self._db.write(batch)

    def close(self) -> None:
        self._db.close()

    def _remind(self, at: int, customer: bytes) -> None:
        if self._due.get(customer) == at:
            del self._due[customer]
            self._send(customer, orjson.dumps({"customer": customer.decode(), "at": at}))
