"""A shard's store in memory, for the simulation: the same rows under the same keys, and whole commits or none.

`ShardStore` itself is tested over RocksDB, with real kills; here what counts is that a hundred thousand lives of a
shard fit into minutes.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from state import layout
from state.layout import CUSTOMER, DECISION, HELD, ITEM, JOB, META, OUTBOX, OUTBOX_LAST, TIMER, WATERMARK, Row
from state.passages import NEVER
from state.records import TopicPartition


class Crash(Exception):
    """The process was killed here."""


class MemoryBatch:
    """`state.batch.Batch`, unsealed."""

    def __init__(self) -> None:
        self.writes: dict[bytes, bytes | None] = {}

    def put_customer(self, owner: bytes, value: bytes) -> None:
        self.writes[CUSTOMER + owner] = value

    def set_timer(self, clock: int, due: int, owner: bytes) -> None:
        self.writes[layout.timers(clock, due) + owner] = b""

    def clear_timer(self, clock: int, due: int, owner: bytes) -> None:
        self.writes[layout.timers(clock, due) + owner] = None

    def add_decision(self, owner: bytes, at: int, id: bytes, value: bytes) -> None:
        self.writes[layout.decision(owner, at, id)] = value

    def add_outbox(self, seq: int, owner: bytes, topic: str, key: bytes, value: bytes) -> None:
        place = layout.outbox(seq)
        self.writes[place] = owner + layout.encode_row((topic, key, value))
        self.writes[OUTBOX_LAST] = place[1:]

    def remove_outbox(self, seq: int) -> None:
        self.writes[layout.outbox(seq)] = None

    def set_watermark(self, tp: TopicPartition, offset: int, reached: int) -> None:
        self.writes[layout.watermark(tp)] = offset.to_bytes(8, "big") + reached.to_bytes(8, "big")

    def hold(self, owner: bytes, at: int, tp: TopicPartition, offset: int, value: bytes) -> bytes:
        key = layout.held(owner, at, tp, offset)
        self.writes[key] = value
        return key

    def release(self, key: bytes) -> None:
        self.writes[key] = None

    def put_item(self, item: bytes, value: bytes) -> None:
        self.writes[ITEM + item] = value

    def set_waiting(self, item: bytes, owner: bytes) -> None:
        self.writes[layout.waiting(item) + owner] = b""

    def clear_waiting(self, item: bytes, owner: bytes) -> None:
        self.writes[layout.waiting(item) + owner] = None

    def put_job(self, number: int, value: bytes) -> None:
        self.writes[layout.job(number)] = value

    def remove_job(self, number: int) -> None:
        self.writes[layout.job(number)] = None

    def set_meta(self, name: bytes, value: bytes) -> None:
        self.writes[META + name] = value


class MemoryStore:
    """What `Shard` needs of `ShardStore`.  `rows` outlives a crash; the object does not."""

    path = Path("memory")

    outlives = True

    def __init__(self, rows: dict[bytes, bytes]) -> None:
        self.rows = rows
        self._keys = sorted(rows)

    def batch(self) -> Any:
        return MemoryBatch()

    def commit(self, batch: MemoryBatch) -> None:
        for key, value in batch.writes.items():
            if value is None:
                if self.rows.pop(key, None) is not None:
                    del self._keys[bisect_left(self._keys, key)]
            else:
                if key not in self.rows:
                    insort(self._keys, key)
                self.rows[key] = value

    def meta(self, name: bytes) -> bytes | None:
        return self.rows.get(META + name)

    def watermarks(self) -> dict[TopicPartition, tuple[int, int]]:
        return {
            layout.watermark_of(key): (int.from_bytes(value[:8], "big"), int.from_bytes(value[8:], "big"))
            for key, value in self._scan(WATERMARK)
        }

    def customer(self, owner: bytes) -> bytes | None:
        return self.rows.get(CUSTOMER + owner)

    def due(self, clock: int, before: int, limit: int) -> list[tuple[int, bytes]]:
        rows = (layout.timer_of(key) for key, _ in self._scan(TIMER + bytes((clock,))))
        return [row for row in rows if row[0] < before][:limit]

    def first_due(self, clock: int, at: int = 0) -> int:
        dues = (layout.timer_of(key)[0] for key, _ in self._scan(TIMER + bytes((clock,))))
        return next((due for due in dues if due >= at), NEVER)

    def held(self, owner: bytes) -> list[tuple[bytes, bytes]]:
        return list(self._scan(HELD + owner))

    def item(self, item: bytes) -> bytes | None:
        return self.rows.get(ITEM + item)

    def waiting(self, item: bytes, after: bytes, limit: int) -> list[bytes]:
        owners = (key[len(layout.waiting(item)) :] for key, _ in self._scan(layout.waiting(item)))
        return [owner for owner in owners if owner > after][:limit]

    def jobs(self) -> list[tuple[int, bytes]]:
        return [(layout.seq_of(key), value) for key, value in self._scan(JOB)]

    def held_rows(self) -> int:
        return len(list(self._scan(HELD)))

    def outbox(self, after: int, limit: int) -> list[Row]:
        rows = [
            Row(layout.seq_of(key), value[:16], *layout.decode_row(value[16:])) for key, value in self._scan(OUTBOX)
        ]
        return [row for row in rows if row.seq > after][:limit]

    def outbox_rows(self) -> int:
        return len(list(self._scan(OUTBOX)))

    def last_outbox(self) -> int:
        noted = self.rows.get(OUTBOX_LAST)
        return int.from_bytes(noted, "big") if noted else -1

    def decisions(self) -> list[bytes]:
        return [value for _, value in self._scan(DECISION)]

    def sync(self) -> None:
        """Nothing is lost here but with the process."""

    def _scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        for key in self._keys[bisect_left(self._keys, prefix) :]:
            if not key.startswith(prefix):
                return
            yield key, self.rows[key]
