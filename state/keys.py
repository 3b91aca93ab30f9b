"""The customers' own keys: a store beside the data, never in the same backup.

To destroy a customer's key is to erase her: what was encrypted under it, wherever it was copied to, can
no longer be read.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from rocksdict import WriteBatch

from state.codec import Key, new_key
from state.ids import CUSTOMER_HASH_BYTES
from state.keyring import KeyRing
from state.rocks import Memory, Opening, catch_up, close, compact_hard, get, give_up, open_database, scan, write
from state.store_errors import StoreDamaged, StoreRefused

CACHE_MAX = 16_384  # a key ready for use takes 3 KiB
_CHECK = b"ring"  # something wrapped that every start unwraps; customers' hashes are longer
_GONE = b"gone"  # and a customer's hash: her key was destroyed.  That is longer than a hash
_MARK_BYTES = 8


class KeyCache:
    """The keys used last, of all shards of a process together."""

    __slots__ = ("_keys", "_most")

    def __init__(self, most: int = CACHE_MAX) -> None:
        self._keys: OrderedDict[bytes, Key] = OrderedDict()
        self._most = most

    def get(self, owner: bytes) -> Key | None:
        found = self._keys.get(owner)
        if found is not None:
            try:
                self._keys.move_to_end(owner)
            except KeyError:  # another thread's `put` was faster
                return found
        return found

    def put(self, owner: bytes, key: Key) -> None:
        self._keys[owner] = key
        if len(self._keys) > self._most:
            self._keys.popitem(last=False)

    def drop(self, owner: bytes) -> None:
        self._keys.pop(owner, None)

    def __len__(self) -> int:
        return len(self._keys)


class Keys(Protocol):
    """Where a store has its customers' keys from; see `KeyStore`."""

    def get(self, owner: bytes) -> Key | None: ...

    def ensure(self, owner: bytes) -> Key: ...

    def flush(self) -> bool: ...

    def forget(self, owners: list[bytes]) -> None: ...

    def destroy(self, owner: bytes) -> None: ...

    def written(self) -> int: ...

    def sync(self) -> None: ...

    def refresh(self) -> None: ...

    @property
    def is_outdated(self) -> bool: ...

    def close(self) -> None: ...


class KeyStore:
    """The keys of one shard's customers.  New keys are staged by `ensure` and written by `flush`."""

    def __init__(
        self,
        path: Path,
        ring: KeyRing,
        memory: Memory,
        cache: KeyCache,
        *,
        create: bool = False,
        secondary: Path | None = None,
    ) -> None:
        self._path = path
        self._opening = Opening(path) if secondary is not None else None
        self._database = open_database(path, memory, create=create, secondary=secondary)
        self._ring = ring
        self._cache = cache
        self._new: dict[bytes, tuple[bytes, Key]] = {}
        self.found = self.written()
        """Up to where it had been written when it was opened."""
        if secondary is None:
            try:
                self._check_ring()
            except BaseException:
                give_up(self._database)
                raise

    def get(self, owner: bytes) -> Key | None:
        """The key of this customer; None when she has none, or no longer."""
        found = self._cache.get(owner)
        if found is not None:
            return found
        if owner in self._new:
            return self._new[owner][1]
        wrapped = get(self._database, owner, self._path)
        if wrapped is None:
            return None
        found = Key(self._ring.unwrap(wrapped, owner))
        self._cache.put(owner, found)
        return found

    def ensure(self, owner: bytes) -> Key:
        """The key of this customer, made where there is none.  To be flushed before anything uses it on disk."""
        found = self._cache.get(owner) or self.get(owner)
        if found is None:
            raw = new_key()
            found = Key(raw)
            self._new[owner] = self._ring.wrap(raw, owner), found
            self._cache.put(owner, found)
        return found

    def flush(self) -> bool:
        """Write the new keys; whether there were any."""
        if not self._new:
            return False
        batch = WriteBatch(raw_mode=True)
        for owner, (wrapped, _) in self._new.items():
            batch[owner] = wrapped
        write(self._database, batch, self._path)
        self._new.clear()
        return True

    def forget(self, owners: list[bytes]) -> None:
        """Delete keys.  The bytes stay in files until these are rewritten; see `destroy`."""
        batch = WriteBatch(raw_mode=True)
        for owner in owners:
            self._cache.drop(owner)
            self._new.pop(owner, None)
            del batch[owner]
        write(self._database, batch, self._path)

    def destroy(self, owner: bytes) -> None:
        """Erase a key; returns when no file of this store holds it any more, not even after a power cut.

        What is left is a mark, by which others hear of it who keep something of her under keys of their own.
        """
        self.forget([owner])
        self._database[_GONE + owner] = os.urandom(_MARK_BYTES)
        compact_hard(self._database, [(owner, owner + b"\0")], self._path)

    def destroyed(self) -> Iterator[tuple[bytes, bytes]]:
        """(customer, mark) of every key that was destroyed; each time it is another mark."""
        for place, mark in scan(self._database, _GONE, _GONE, self._path):
            if len(place) == len(_GONE) + CUSTOMER_HASH_BYTES:
                yield place[len(_GONE) :], mark

    def written(self) -> int:
        """How many writes it has taken, in all its life: it never falls, unless some of them are lost."""
        return int(self._database.latest_sequence_number())

    def sync(self) -> None:
        self._database.flush_wal(True)

    def refresh(self) -> None:
        catch_up(self._database, self._path)

    @property
    def is_outdated(self) -> bool:
        """Reading beside a worker: whether it is to be opened anew, see `Opening`."""
        return self._opening is not None and self._opening.is_outdated

    def close(self) -> None:
        close(self._database, self._path)

    def _check_ring(self) -> None:
        wrapped = get(self._database, _CHECK, self._path)
        if wrapped is None:
            self._database[_CHECK] = self._ring.wrap(b"", _CHECK)
            return
        try:
            self._ring.unwrap(wrapped, _CHECK)
        except StoreDamaged:
            raise StoreRefused(
                f"{self._ring.name}: the keys in {self._path} were wrapped by another key ring than this one. Put the "
                "one that belongs to them back from its backup."
            ) from None
