"""The customers' own keys: a store beside the data, never in the same backup.

To destroy a customer's key is to erase her: what was encrypted under it, wherever it was copied to, can
no longer be read.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from rocksdict import BottommostLevelCompaction, CompactOptions, WriteBatch

from state.keyring import KeyRing
from state.rocks import Memory, open_database

KEY_BYTES = 32
CACHE_MAX = 1024


class KeyStore:
    """The keys of one shard's customers.  New keys are staged by `ensure` and written by `flush`."""

    def __init__(self, path: Path, ring: KeyRing, memory: Memory, *, secondary: Path | None = None) -> None:
        if secondary is None:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._database = open_database(path, memory, create=True, secondary=secondary)
        self._ring = ring
        self._cache: OrderedDict[bytes, AESGCM] = OrderedDict()
        self._new: dict[bytes, bytes] = {}

    def get(self, owner: bytes) -> AESGCM | None:
        """The key of this customer; None when she has none, or no longer."""
        cached = self._cache.get(owner)
        if cached is not None:
            return cached
        wrapped = self._database.get(owner)
        return None if wrapped is None else self._remember(owner, self._ring.unwrap(wrapped, owner))

    def ensure(self, owner: bytes) -> AESGCM:
        """The key of this customer, made where there is none.  To be flushed before anything uses it on disk."""
        found = self._cache.get(owner) or self.get(owner)
        if found is None:
            key = os.urandom(KEY_BYTES)
            self._new[owner] = self._ring.wrap(key, owner)
            found = self._remember(owner, key)
        return found

    def flush(self) -> bool:
        """Write the new keys; whether there were any."""
        if not self._new:
            return False
        batch = WriteBatch(raw_mode=True)
        for owner, wrapped in self._new.items():
            batch[owner] = wrapped
        self._database.write(batch)
        self._new.clear()
        return True

    def destroy(self, owner: bytes) -> None:
        """Erase a key so that no file of this store holds it any more."""
        self._cache.pop(owner, None)
        self._new.pop(owner, None)
        self._database.delete(owner)
        self._database.flush()
        forced = CompactOptions()
        forced.set_bottommost_level_compaction(BottommostLevelCompaction.force())
        self._database.compact_range(owner, owner + b"\0", forced)

    def sync(self) -> None:
        self._database.flush_wal(True)

    def refresh(self) -> None:
        self._database.try_catch_up_with_primary()

    def close(self) -> None:
        self._database.close()

    def _remember(self, owner: bytes, key: bytes) -> AESGCM:
        made = self._cache[owner] = AESGCM(key)
        # A staged key must stay until it is written.
        if len(self._cache) > CACHE_MAX and not self._new:
            self._cache.popitem(last=False)
        return made
