"""The store of one shard: customers, timers, watermarks, decisions, what was held back, and the outbox.

One RocksDB folder, one column family, one-byte prefixes.  Everything personal is sealed under the key
of its customer; store keys hold keyed hashes only.  One `commit` is one atomic write.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from rocksdict import BottommostLevelCompaction, Checkpoint, CompactOptions, Rdict, WriteBatch

from state import identity
from state.codec import Codec
from state.ids import CUSTOMER_HASH_BYTES
from state.keyring import KeyRing, load_or_make
from state.keys import KeyStore
from state.passages import NEVER
from state.records import TopicPartition
from state.rocks import Memory, open_database, scan
from state.store_errors import StoreRefused

META, WATERMARK, CUSTOMER, TIMER, DECISION, OUTBOX, HELD = (bytes((byte,)) for byte in b"MWCTDOH")
_END = b"\xff" * 9
_FORMAT = b"format"

_row_encode = msgspec.msgpack.Encoder().encode
_row_decode = msgspec.msgpack.Decoder(tuple[str, bytes, bytes]).decode


class Row(NamedTuple):
    """A record on its way to a topic of ours."""

    seq: int
    owner: bytes
    topic: str
    key: bytes
    value: bytes


@dataclass
class Resources:
    """What the stores of one process share."""

    data_dir: Path
    ring: KeyRing
    memory: Memory
    codec: Codec

    @classmethod
    def open(cls, data_dir: Path, *, cache_mib: int = 64) -> Resources:
        """Raises `StoreRefused` when there are keys but no key ring."""
        ring = load_or_make(data_dir / "keyring", may_make=not (data_dir / "keys").exists())
        return cls(data_dir, ring, Memory(cache_mib), Codec())

    def close(self) -> None:
        """The caches go with the last database."""


class Batch:
    """What one commit writes."""

    __slots__ = ("_codec", "_keys", "_store", "_writes")

    def __init__(self, store: ShardStore) -> None:
        self._store = store
        self._writes = WriteBatch(raw_mode=True)
        self._keys, self._codec = store.keys, store.codec

    def put_customer(self, owner: bytes, value: bytes) -> None:
        self._put(CUSTOMER + owner, owner, value)

    def delete_customer(self, owner: bytes) -> None:
        del self._writes[CUSTOMER + owner]

    def set_timer(self, clock: int, due: int, owner: bytes) -> None:
        self._store.lower(clock, due)
        self._writes[_timer(clock, due) + owner] = b""

    def clear_timer(self, clock: int, due: int, owner: bytes) -> None:
        del self._writes[_timer(clock, due) + owner]

    def add_decision(self, owner: bytes, at: int, id: bytes, value: bytes) -> None:
        self._put(DECISION + owner + at.to_bytes(8, "big") + id, owner, value)

    def add_outbox(self, seq: int, owner: bytes, topic: str, key: bytes, value: bytes) -> None:
        place = OUTBOX + seq.to_bytes(8, "big")
        sealed = self._codec.seal(self._keys.ensure(owner), place, _row_encode((topic, key, value)))
        self._writes[place] = owner + sealed

    def remove_outbox(self, seq: int) -> None:
        del self._writes[OUTBOX + seq.to_bytes(8, "big")]

    def set_watermark(self, tp: TopicPartition, offset: int, reached: int) -> None:
        key = WATERMARK + tp.topic.encode() + b"\0" + tp.partition.to_bytes(4, "big")
        self._writes[key] = offset.to_bytes(8, "big") + reached.to_bytes(8, "big")

    def hold(self, owner: bytes, at: int, tp: TopicPartition, offset: int, value: bytes) -> bytes:
        """Keep an event back; the returned key sorts by time, topic, partition and offset."""
        place = tp.topic.encode() + b"\0" + tp.partition.to_bytes(4, "big") + offset.to_bytes(8, "big")
        key = HELD + owner + at.to_bytes(8, "big") + place
        self._put(key, owner, value)
        return key

    def release(self, key: bytes) -> None:
        del self._writes[key]

    def set_meta(self, name: bytes, value: bytes) -> None:
        self._writes[META + name] = value

    @property
    def writes(self) -> WriteBatch:
        return self._writes

    def _put(self, place: bytes, owner: bytes, value: bytes) -> None:
        self._writes[place] = self._codec.seal(self._keys.ensure(owner), place, value)


class ShardStore:
    """One shard on disk.  Open it with `ShardStore.open`, or `ShardStore.open_reading` beside a running worker."""

    def __init__(self, path: Path, database: Rdict, keys: KeyStore, codec: Codec) -> None:
        self.path = path
        self.keys = keys
        self.codec = codec
        self._database = database
        self._low = [0, 0]  # no timer of this clock is due before

    @classmethod
    def open(cls, data_dir: Path, shard: int, shards: int, *, resources: Resources) -> ShardStore:
        """Open a shard for its one worker, and make it where it never was.

        Raises `StoreRefused`, `StoreDamaged` or `StoreBusy`.
        """
        identity.identify(data_dir, shards)
        path, keys_path = _places(data_dir, shard)
        made = identity.was_made(data_dir, shard)
        if made:
            _check_there(path, keys_path)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        keys_path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for each in (data_dir, path.parent, keys_path.parent, path, keys_path):
            each.chmod(0o700)
        database = open_database(path, resources.memory, create=not made)
        try:
            _check_format(path, database, shard, made)
            keys = KeyStore(keys_path, resources.ring, resources.memory)
        except BaseException:
            database.close()
            raise
        if not made:
            database[META + _FORMAT] = _row_encode((identity.FORMAT, shard))
            database.flush_wal(True)
            identity.mark_made(data_dir, shard)
        return cls(path, database, keys, resources.codec)

    @classmethod
    def open_reading(cls, data_dir: Path, shard: int, scratch: Path, *, resources: Resources) -> ShardStore:
        """Open a shard as it is on disk, beside the worker that writes it.  `scratch` is a folder of one's own."""
        path, keys_path = _places(data_dir, shard)
        database = open_database(path, resources.memory, create=False, secondary=scratch / f"shard-{shard:03}")
        keys = KeyStore(keys_path, resources.ring, resources.memory, secondary=scratch / f"keys-{shard:03}")
        database.try_catch_up_with_primary()
        keys.refresh()
        return cls(path, database, keys, resources.codec)

    def batch(self) -> Batch:
        return Batch(self)

    def commit(self, batch: Batch) -> None:
        """Write all or nothing; new keys before what they encrypt."""
        self.keys.flush()
        self._database.write(batch.writes)

    def sync(self) -> None:
        """Return when all that was committed survives a power cut."""
        self.keys.sync()
        self._database.flush_wal(True)

    def close(self) -> None:
        self._database.close()
        self.keys.close()

    # -- reading

    def meta(self, name: bytes) -> bytes | None:
        value: bytes | None = self._database.get(META + name)
        return value

    def watermarks(self) -> dict[TopicPartition, tuple[int, int]]:
        """Per partition the first offset not taken in, and the event time reached."""
        found = {}
        for key, value in scan(self._database, WATERMARK, WATERMARK, self.path):
            topic, partition = key[1:-5].decode(), int.from_bytes(key[-4:], "big")
            found[TopicPartition(topic, partition)] = (
                int.from_bytes(value[:8], "big"),
                int.from_bytes(value[8:], "big"),
            )
        return found

    def customer(self, owner: bytes) -> bytes | None:
        """The record of a customer; None where there is none, or her key was destroyed."""
        place = CUSTOMER + owner
        sealed = self._database.get(place)
        return None if sealed is None else self._open(owner, place, sealed)

    def customers(self, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """(hash, record) of every customer, from the one after `after` on."""
        for place, sealed in scan(self._database, CUSTOMER + after + (b"\0" if after else b""), CUSTOMER, self.path):
            value = self._open(place[1:], place, sealed)
            if value is not None:
                yield place[1:], value

    def due(self, clock: int, before: int, limit: int) -> list[tuple[int, bytes]]:
        """The first timers due before this moment: (due, customer), in order."""
        rows: list[tuple[int, bytes]] = []
        prefix = TIMER + bytes((clock,))
        for key, _ in scan(self._database, _timer(clock, self._low[clock]), prefix, self.path):
            due = int.from_bytes(key[2:10], "big")
            if due >= before or len(rows) >= limit:
                break
            rows.append((due, key[10:]))
        self._low[clock] = max(self._low[clock], rows[-1][0] if len(rows) >= limit else before)
        return rows

    def first_due(self, clock: int, at: int = 0) -> int:
        """The first timer at or after this moment, `NEVER` where there is none."""
        for key, _ in scan(self._database, _timer(clock, at), TIMER + bytes((clock,)), self.path):
            return int.from_bytes(key[2:10], "big")
        return NEVER

    def lower(self, clock: int, due: int) -> None:
        """A timer is being set: look from there on."""
        if due < self._low[clock]:
            self._low[clock] = due

    def held(self, owner: bytes) -> list[tuple[bytes, bytes]]:
        """Her events that were kept back, in order of time, topic, partition and offset: (key, value)."""
        prefix = HELD + owner
        rows = (
            (key, self._open(owner, key, sealed)) for key, sealed in scan(self._database, prefix, prefix, self.path)
        )
        return [(key, value) for key, value in rows if value is not None]

    def outbox(self, after: int, limit: int) -> list[Row]:
        """The first rows after this number."""
        rows: list[Row] = []
        for place, raw in scan(self._database, OUTBOX + (after + 1).to_bytes(8, "big"), OUTBOX, self.path):
            if len(rows) >= limit:
                break
            owner = raw[:CUSTOMER_HASH_BYTES]
            value = self._open(owner, place, raw[CUSTOMER_HASH_BYTES:])
            if value is not None:
                rows.append(Row(int.from_bytes(place[1:], "big"), owner, *_row_decode(value)))
        return rows

    def last_outbox(self) -> int:
        """The number of the last row, -1 where there is none."""
        rows = self._database.iter()
        rows.seek_for_prev(OUTBOX + _END)
        key = rows.key() if rows.valid() else b""
        return int.from_bytes(key[1:], "big") if key[:1] == OUTBOX else -1

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
            owner = place[1 : 1 + CUSTOMER_HASH_BYTES]
            if int.from_bytes(place[17:25], "big") >= since:
                value = self._open(owner, place, sealed)
                if value is not None:
                    yield value

    # -- forgetting

    def sweep(self, after: bytes, limit: int, decisions_before: int) -> bytes:
        """Delete old decisions among the next `limit` ones; where to go on, empty at the end.

        To be called in small bites, so that it never holds up the customers' events.
        """
        writes, seen, last = WriteBatch(raw_mode=True), 0, b""
        for place, _ in scan(self._database, after or DECISION, DECISION, self.path):
            seen, last = seen + 1, place
            if int.from_bytes(place[17:25], "big") < decisions_before:
                del writes[place]
            if seen >= limit:
                break
        if len(writes):
            self._database.write(writes)
        return last + b"\0" if seen >= limit else b""

    def erase(self, owner: bytes) -> None:
        """Destroy a customer's key, and what is kept under it here.  Returns when no file holds either."""
        self.keys.destroy(owner)
        writes = WriteBatch(raw_mode=True)
        del writes[CUSTOMER + owner]
        for prefix in (DECISION + owner, HELD + owner):
            for key, _ in scan(self._database, prefix, prefix, self.path):
                del writes[key]
        self._database.write(writes)
        self._database.flush()
        forced = CompactOptions()
        forced.set_bottommost_level_compaction(BottommostLevelCompaction.force())
        for prefix in (CUSTOMER + owner, DECISION + owner, HELD + owner):
            self._database.compact_range(prefix, prefix + _END, forced)

    def checkpoint(self, to: Path) -> None:
        """A copy of the shard as it is now, made of links where it can be.  Holds no keys."""
        self._database.flush()
        Checkpoint(self._database).create_checkpoint(str(to))

    def refresh(self) -> None:
        """Reading beside a worker: see what it has written since."""
        self._database.try_catch_up_with_primary()
        self.keys.refresh()

    def _open(self, owner: bytes, place: bytes, sealed: bytes) -> bytes | None:
        key: AESGCM | None = self.keys.get(owner)
        return None if key is None else self.codec.open(key, place, sealed)


def _timer(clock: int, due: int) -> bytes:
    return TIMER + bytes((clock,)) + due.to_bytes(8, "big")


def _places(data_dir: Path, shard: int) -> tuple[Path, Path]:
    return data_dir / "shards" / f"{shard:03}", data_dir / "keys" / f"{shard:03}"


def _check_there(path: Path, keys: Path) -> None:
    for each, what in ((path, "shard"), (keys, "key store")):
        if not (each / "CURRENT").exists():
            raise StoreRefused(
                f"{each}: this {what} is missing, though it was made and has taken in events. Put the folder back from a "
                "backup (a shard then reads from the log what it misses since), or, to build everything anew from "
                f"the log, remove {os.path.commonpath((path, keys))} as a whole."
            )


def _check_format(path: Path, database: Rdict, shard: int, made: bool) -> None:
    raw = database.get(META + _FORMAT)
    if raw is None:
        if made:
            raise StoreRefused(
                f"{path}: this is no shard of ours, it has no identity. Put the folder back from a backup."
            )
        return
    written, number = msgspec.msgpack.decode(raw)
    if written > identity.FORMAT:
        raise StoreRefused(
            f"{path}: written by a newer version (format {written}, this one knows {identity.FORMAT}). Start the newer "
            "version again."
        )
    if number != shard:
        raise StoreRefused(f"{path}: this is shard {number}, in the place of shard {shard}. Put each in its own place.")
