"""What can be asked of a shard's store, by its worker or beside it.

Rows whose key was destroyed, or lost with a key store, read as if they were not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rocksdict import Rdict

from state import layout
from state.codec import Codec
from state.ids import CUSTOMER_HASH_BYTES
from state.keys import Keys
from state.layout import CUSTOMER, DECISION, HELD, ITEM, JOB, META, OUTBOX, OUTBOX_LAST, TIMER, WATERMARK, Row
from state.passages import NEVER
from state.records import TopicPartition
from state.rocks import Opening, catch_up, close, get, last, scan
from state.store_errors import KeyLost


class ShardReading:
    """Every method raises `StoreDamaged` where bytes are not as they were written, `StoreRefused` for newer ones."""

    def __init__(self, path: Path, database: Rdict, keys: Keys, codec: Codec, opening: Opening | None = None) -> None:
        self.path = path
        self.keys = keys
        self.codec = codec
        self._database = database
        self._opening = opening
        self._low = [0, 0]  # no timer of this clock is due before
        self._unreadable: set[int] = set()  # outbox rows that no key opens

    def meta(self, name: bytes) -> bytes | None:
        return get(self._database, META + name, self.path)

    def watermarks(self) -> dict[TopicPartition, tuple[int, int]]:
        """Per partition the first offset not taken in, and the event time reached."""
        return {
            layout.watermark_of(place): (int.from_bytes(value[:8], "big"), int.from_bytes(value[8:], "big"))
            for place, value in scan(self._database, WATERMARK, WATERMARK, self.path)
        }

    def customer(self, owner: bytes) -> bytes | None:
        """The record of a customer; None where there is none, or her key was destroyed."""
        place = CUSTOMER + owner
        sealed = get(self._database, place, self.path)
        return None if sealed is None else self._open(owner, place, sealed)

    def customers(self, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """(hash, record) of every customer, from the one after `after` on."""
        for place, sealed in scan(self._database, CUSTOMER + after + (b"\0" if after else b""), CUSTOMER, self.path):
            value = self._open(place[1:], place, sealed)
            if value is not None:
                yield place[1:], value

    def due(self, clock: int, before: int, limit: int) -> list[tuple[int, bytes]]:
        """The first timers due before this moment: (due, customer), in order.

        Who asks is to clear what it gets: what lies before is not looked at again until the store is
        opened anew, or a timer is set there.
        """
        rows: list[tuple[int, bytes]] = []
        prefix = TIMER + bytes((clock,))
        for place, _ in scan(self._database, layout.timers(clock, self._low[clock]), prefix, self.path):
            row = layout.timer_of(place)
            if row[0] >= before or len(rows) >= limit:
                break
            rows.append(row)
        self._low[clock] = max(self._low[clock], rows[-1][0] if len(rows) >= limit else before)
        return rows

    def first_due(self, clock: int, at: int = 0) -> int:
        """The first timer at or after this moment, `NEVER` where there is none."""
        for place, _ in scan(self._database, layout.timers(clock, at), TIMER + bytes((clock,)), self.path):
            return layout.timer_of(place)[0]
        return NEVER

    def timers_count(self) -> int:
        """Timers of both clocks, counted one by one."""
        return sum(1 for _ in scan(self._database, TIMER, TIMER, self.path))

    def held(self, owner: bytes) -> list[tuple[bytes, bytes]]:
        """Her events that were kept back, in order of time, topic, partition and offset: (key, value)."""
        prefix = HELD + owner
        rows = (
            (key, self._open(owner, key, sealed)) for key, sealed in scan(self._database, prefix, prefix, self.path)
        )
        return [(key, value) for key, value in rows if value is not None]

    def item(self, item: bytes) -> bytes | None:
        """What the catalogue told of a product."""
        return get(self._database, ITEM + item, self.path)

    def waiting(self, item: bytes, after: bytes, limit: int) -> list[bytes]:
        """The first customers after this one who may wait for an item."""
        prefix = layout.waiting(item)
        rows: list[bytes] = []
        for place, _ in scan(self._database, prefix + after + (b"\0" if after else b""), prefix, self.path):
            rows.append(place[len(prefix) :])
            if len(rows) >= limit:
                break
        return rows

    def jobs(self) -> list[tuple[int, bytes]]:
        """News that are on their way to customers, by number."""
        return [(layout.seq_of(place), value) for place, value in scan(self._database, JOB, JOB, self.path)]

    def held_rows(self) -> int:
        return sum(1 for _ in scan(self._database, HELD, HELD, self.path))

    def outbox(self, after: int, limit: int) -> list[Row]:
        """The first rows after this number."""
        rows: list[Row] = []
        for place, raw in scan(self._database, layout.outbox(after + 1), OUTBOX, self.path):
            if len(rows) >= limit:
                break
            seq, owner = layout.seq_of(place), raw[:CUSTOMER_HASH_BYTES]
            value = self._open(owner, place, raw[CUSTOMER_HASH_BYTES:])
            if value is None:
                self._unreadable.add(seq)
            else:
                rows.append(Row(seq, owner, *layout.decode_row(value)))
        return rows

    def last_outbox(self) -> int:
        """The greatest number a row ever had here, -1 where there never was one."""
        noted = get(self._database, OUTBOX_LAST, self.path)
        there = last(self._database, OUTBOX, self.path)
        return max(int.from_bytes(noted, "big") if noted else -1, layout.seq_of(there) if there else -1)

    def outbox_rows(self) -> int:
        return sum(1 for _ in scan(self._database, OUTBOX, OUTBOX, self.path))

    def decisions(self, owner: bytes, since: int = 0) -> Iterator[bytes]:
        """Her decisions in order of time."""
        prefix = DECISION + owner
        for place, sealed in scan(self._database, prefix + since.to_bytes(8, "big"), prefix, self.path):
            value = self._open(owner, place, sealed)
            if value is not None:
                yield value

    def all_decisions(self, since: int = 0) -> Iterator[bytes]:
        """Everybody's decisions, one customer after the other."""
        for place, sealed in scan(self._database, DECISION, DECISION, self.path):
            if layout.time_of(place) >= since:
                value = self._open(layout.owner_of(place), place, sealed)
                if value is not None:
                    yield value

    def refresh(self) -> None:
        """Reading beside a worker: see what it has written since."""
        catch_up(self._database, self.path)
        self.keys.refresh()  # after the data, so that every row finds its key

    @property
    def is_outdated(self) -> bool:
        """Reading beside a worker: whether it is to be opened anew, see `Opening`."""
        return (self._opening is not None and self._opening.is_outdated) or self.keys.is_outdated

    def close(self) -> None:
        try:
            close(self._database, self.path)
        finally:
            self.keys.close()

    def _open(self, owner: bytes, place: bytes, sealed: bytes) -> bytes | None:
        key = self.keys.get(owner)
        if key is None:
            return None
        try:
            return self.codec.open(key, place, sealed)
        except KeyLost:
            return None
