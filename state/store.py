"""The store of one shard: customers, timers, watermarks, decisions, what was held back, and the outbox.

One RocksDB folder, one column family, one-byte prefixes.  Everything personal is sealed under the key
of its customer; store keys hold keyed hashes only.  One `commit` is one atomic write.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import msgspec
from rocksdict import Checkpoint, Rdict, WriteBatch

from state import identity, layout
from state.batch import Batch as Batch
from state.codec import Codec
from state.ids import CUSTOMER_HASH_BYTES
from state.keyring import KeyRing, load_or_make
from state.keys import CACHE_MAX, KeyCache, Keys, KeyStore
from state.layout import CUSTOMER, DECISION, HELD, IDENTITY, KEYS, OUTBOX
from state.layout import Row as Row
from state.rocks import (
    Memory,
    Opening,
    after_all,
    catch_up,
    compact_hard,
    get,
    give_up,
    open_database,
    scan,
    told,
    write,
)
from state.store_errors import StoreRefused
from state.store_reading import ShardReading

_OPEN_FILES = 16_384


@dataclass
class Resources:
    """What the stores of one process share.

    With `power`, a new customer's key is on disk before the batch that uses it, so that a power cut
    cannot keep her record and lose her key.
    """

    data_dir: Path
    ring: KeyRing
    memory: Memory
    codec: Codec = field(default_factory=Codec)
    cache: KeyCache = field(default_factory=KeyCache)
    power: bool = False

    @classmethod
    def open(
        cls,
        data_dir: Path,
        *,
        cache_mib: int = 64,
        write_buffers_mib: int = 96,
        keys_cached: int = CACHE_MAX,
        power: bool = False,
    ) -> Resources:
        """Raises `StoreRefused` when there are keys but no key ring."""
        _allow_open_files()
        ring = load_or_make(data_dir / "keyring", may_make=not (data_dir / "keys").exists())
        return cls(data_dir, ring, Memory(cache_mib, write_buffers_mib), cache=KeyCache(keys_cached), power=power)

    @classmethod
    def open_reading(cls, data_dir: Path) -> Resources:
        """For commands beside a worker: small, and makes nothing.  Raises `StoreRefused` where nothing is."""
        _allow_open_files()
        identity.read(identity.file(data_dir))
        return cls(data_dir, load_or_make(data_dir / "keyring", may_make=False), Memory(8, 8))

    def close(self) -> None:
        """The caches go with the last database."""


class ShardStore(ShardReading):
    """One shard on disk, in the hands of its one worker.  `open_reading` is for all others."""

    outlives: ClassVar[bool] = True
    """Whether it is to outlive the process; see `state.passing`."""

    def __init__(self, path: Path, database: Rdict, keys: Keys, resources: Resources) -> None:
        super().__init__(path, database, keys, resources.codec)
        self._power = resources.power
        self.lost_keys = ""
        """What is to be told of keys that this shard knew and its key store has no longer; see `accept_keys`."""

    @classmethod
    def open(cls, data_dir: Path, shard: int, shards: int, *, resources: Resources) -> ShardStore:
        """Open a shard for its one worker, and make it where it never was.

        Raises `StoreRefused`, `StoreDamaged`, `StoreBusy` or `StoreFull`.
        """
        deployment = identity.identify(data_dir, shards)
        path, keys_path = _places(data_dir, shard)
        made = identity.was_made(data_dir, shard)
        if made:
            _check_there(data_dir, shard)
        for each in (path.parent, keys_path.parent, path, keys_path):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        for each in (data_dir, path.parent, keys_path.parent, path, keys_path):
            each.chmod(0o700)
        database = open_database(path, resources.memory, create=not made)
        try:
            _check_identity(path, database, shard, deployment.id, made=made)
            keys = KeyStore(keys_path, resources.ring, resources.memory, resources.cache, create=not made)
        except BaseException:
            give_up(database)
            raise
        if not made:
            database[IDENTITY] = msgspec.msgpack.encode((identity.FORMAT, shard, deployment.id))
            keys.sync()
            database.flush_wal(True)
            identity.mark_made(data_dir, shard)
        opened = cls(path, database, keys, resources)
        opened._look_for_keys(keys, keys_path)
        return opened

    @classmethod
    def open_reading(cls, data_dir: Path, shard: int, scratch: Path, *, resources: Resources) -> ShardReading:
        """Open a shard as it is on disk, beside the worker that writes it.

        `scratch` is a folder of the caller's own, to be removed by it.  Raises `StoreRefused`, `StoreDamaged`.
        """
        path, keys_path = _places(data_dir, shard)
        made = identity.was_made(data_dir, shard)
        if not (made or _is_whole(data_dir, shard)):
            raise StoreRefused(
                f"{path}: this shard is not made yet. Where `impuls run` has just been started, ask again in a moment; "
                "else start it, or name another data_dir."
            )
        _check_there(data_dir, shard)
        opening = Opening(path)
        database = open_database(path, resources.memory, create=False, secondary=scratch / f"shard-{shard:03}")
        try:
            catch_up(database, path)
            _check_identity(path, database, shard, None, made=made)
            keys = KeyStore(
                keys_path, resources.ring, resources.memory, resources.cache, secondary=scratch / f"keys-{shard:03}"
            )
        except BaseException:
            give_up(database)
            raise
        keys.refresh()
        return ShardReading(path, database, keys, resources.codec, opening)

    def batch(self) -> Batch:
        return Batch(self.keys, self.codec, self._lower)

    def commit(self, batch: Batch) -> None:
        """Write all or nothing; new keys before what they encrypt.

        Raises `StoreFull`: nothing is written, and the same batch may be committed again.
        """
        if self._unreadable:
            for seq in self._unreadable:
                batch.remove_outbox(seq)
            self._unreadable.clear()
        if self.keys.flush():
            if self._power:
                self.keys.sync()
            batch.set_meta(KEYS, self.keys.written().to_bytes(8, "big"))
        write(self._database, batch.writes(), self.path)

    def accept_keys(self) -> None:
        """What `lost_keys` says was told: it is not said again."""
        batch = self.batch()
        batch.set_meta(KEYS, self.keys.written().to_bytes(8, "big"))
        self.commit(batch)

    def sync(self) -> None:
        """Return when all that was committed survives a power cut.  Releases the GIL: sync shards side by side."""
        try:
            self.keys.sync()
            self._database.flush_wal(True)
        except Exception as error:
            raise told(self.path, error) from error

    # -- forgetting

    def sweep(self, after: bytes, limit: int, decisions_before: int) -> bytes:
        """Delete old decisions among the next `limit` ones; where to go on, empty at the end.

        To be called in small bites, so that it never holds up the customers' events.
        """
        writes, seen, place = WriteBatch(raw_mode=True), 0, b""
        for place, _ in scan(self._database, after or DECISION, DECISION, self.path):
            seen += 1
            if layout.time_of(place) < decisions_before:
                del writes[place]
            if seen >= limit:
                break
        if len(writes):
            write(self._database, writes, self.path)
        return place + b"\0" if seen >= limit else b""

    def sweep_customers(
        self, after: bytes, limit: int, unseen: Callable[[bytes], bool]
    ) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """Those of the next `limit` customers whose record says so, as (hash, record), and where to go on.

        Nothing is deleted: the caller clears their timers and lets `forget` do the rest.
        """
        found: list[tuple[bytes, bytes]] = []
        seen, owner = 0, b""
        for owner, record in self.customers(after):
            seen += 1
            if unseen(record):
                found.append((owner, record))
            if seen >= limit:
                break
        return found, owner if seen >= limit else b""

    def forget(self, owner: bytes, timers: Iterable[tuple[int, int]] = (), waits_for: Iterable[bytes] = ()) -> None:
        """Delete a customer, her key and all she owns; `timers` are hers, as (clock, due), `waits_for` items.

        Bytes stay in files until RocksDB rewrites them; `erase` does not leave that to chance.
        """
        self.keys.forget([owner])
        write(self._database, self._all_of(owner, timers, waits_for), self.path)

    def erase(self, owner: bytes, timers: Iterable[tuple[int, int]] = (), waits_for: Iterable[bytes] = ()) -> None:
        """Destroy a customer's key, and what is kept under it here.  Returns when no file holds either."""
        self.keys.destroy(owner)
        write(self._database, self._all_of(owner, timers, waits_for), self.path)
        ranges = [(prefix + owner, after_all(prefix + owner)) for prefix in (CUSTOMER, DECISION, HELD)]
        compact_hard(self._database, [*ranges, (OUTBOX, after_all(OUTBOX))], self.path)

    def checkpoint(self, to: Path) -> None:
        """A copy of the shard as it is now, made of links where it can be.  Holds no keys."""
        try:
            self._database.flush()
            Checkpoint(self._database).create_checkpoint(str(to))
        except Exception as error:
            raise told(to, error) from error

    def _all_of(self, owner: bytes, timers: Iterable[tuple[int, int]], waits_for: Iterable[bytes]) -> WriteBatch:
        writes = WriteBatch(raw_mode=True)
        del writes[CUSTOMER + owner]
        for prefix in (DECISION + owner, HELD + owner):
            for place, _ in scan(self._database, prefix, prefix, self.path):
                del writes[place]
        for place, raw in scan(self._database, OUTBOX, OUTBOX, self.path):
            if raw[:CUSTOMER_HASH_BYTES] == owner:
                del writes[place]
        for clock, due in timers:
            del writes[layout.timers(clock, due) + owner]
        for item in waits_for:
            del writes[layout.waiting(item) + owner]
        return writes

    def _look_for_keys(self, keys: KeyStore, path: Path) -> None:
        noted = int.from_bytes(self.meta(KEYS) or b"", "big")
        if keys.found < noted:
            self.lost_keys = (
                f"{path}: the key store has lost what was written last ({keys.found} of at least {noted} writes are "
                "there). Customers whose keys were among it, those who came last, read as if nobody had ever heard of "
                "them. Stop, and put the folder back from a newer backup; without one they are met anew."
            )

    def _lower(self, clock: int, due: int) -> None:
        """A timer is being set: look from there on."""
        if due < self._low[clock]:
            self._low[clock] = due


def _places(data_dir: Path, shard: int) -> tuple[Path, Path]:
    return data_dir / "shards" / f"{shard:03}", data_dir / "keys" / f"{shard:03}"


def _has_files(folder: Path) -> bool:
    return (folder / "CURRENT").exists()


def _is_whole(data_dir: Path, shard: int) -> bool:
    return all(map(_has_files, _places(data_dir, shard)))


def _check_there(data_dir: Path, shard: int) -> None:
    for each, what in zip(_places(data_dir, shard), ("shard", "key store"), strict=True):
        if not _has_files(each):
            raise StoreRefused(
                f"{each}: this {what} is missing or no longer whole, though it was made and may have taken in events. "
                "Put the folder back from a backup (the shard then reads from the log what it misses since). Without a "
                f"backup, build it anew from what the log still holds: rm -r {data_dir}/{{shards,keys,made}}/{shard:03}"
            )


def _check_identity(path: Path, database: Rdict, shard: int, deployment: str | None, *, made: bool) -> None:
    raw = get(database, IDENTITY, path)
    if raw is None:
        if made:
            raise StoreRefused(
                f"{path}: this is no shard of ours, it has no identity. Put the folder back from a backup."
            )
        return
    written, number, *others = msgspec.msgpack.decode(raw)
    if written > identity.FORMAT:
        raise StoreRefused(
            f"{path}: written by a newer version (format {written}, this one knows {identity.FORMAT}). Start the newer "
            "version again."
        )
    if number != shard:
        raise StoreRefused(f"{path}: this is shard {number}, in the place of shard {shard}. Put each in its own place.")
    if deployment is not None and others and others[0] != deployment:
        raise StoreRefused(
            f"{path}: this shard belongs to another data folder than {identity.file(path.parents[1])} says this "
            "is. Put back what belongs together, from one backup."
        )


def _allow_open_files() -> None:
    """64 shards keep nearly a thousand files open, which is where many systems draw the line by default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
