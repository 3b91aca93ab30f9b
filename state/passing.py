"""A store that ends with its process, as a replay's: it need not outlive anything, only be as large as it must.

The same questions and answers as of any store, but nothing is written ahead, and one key that is in no file seals all
of it: what a killed process leaves behind cannot be read by anybody.
"""

from __future__ import annotations

from pathlib import Path

from rocksdict import WriteOptions

from state.codec import KEY_BYTES, Key, new_key
from state.entropy import random_bytes
from state.keyring import KeyRing
from state.rocks import Memory, open_database
from state.store import Resources, ShardStore


def resources(folder: Path, cache_mib: int) -> Resources:
    """What passing stores of one process share; nothing of it is in a file."""
    return Resources(folder, KeyRing({1: random_bytes(KEY_BYTES)}), Memory(cache_mib))


class PassingKeys:
    """One key for everybody, as long as this lives."""

    def __init__(self) -> None:
        self._key = Key(new_key())

    def get(self, owner: bytes) -> Key | None:
        return self._key

    def ensure(self, owner: bytes) -> Key:
        return self._key

    def flush(self) -> bool:
        return False

    def forget(self, owners: list[bytes]) -> None:
        """There is nothing to forget: what was sealed is deleted with its owner, and the key goes with the process."""

    def destroy(self, owner: bytes) -> None:
        self.forget([owner])

    def written(self) -> int:
        return 0

    def sync(self) -> None:
        """Nothing of this is on disk."""

    def refresh(self) -> None:
        """Nobody else changes this."""

    @property
    def is_outdated(self) -> bool:
        return False

    def close(self) -> None:
        """It goes with the process."""


class PassingStore(ShardStore):
    """One shard of a store that is thrown away."""

    outlives = False

    @classmethod
    def make(cls, shard: int, resources: Resources) -> PassingStore:
        """A new one, in a folder of its own.  Raises `StoreRefused`, `StoreFull`."""
        path = resources.data_dir / f"{shard:03}"
        path.mkdir(mode=0o700, parents=True)
        database = open_database(path, resources.memory, create=True)
        unlogged = WriteOptions()
        unlogged.disable_wal = True  # type: ignore[assignment, method-assign]  # a method only in its stubs
        database.set_write_options(unlogged)
        return cls(path, database, PassingKeys(), resources)
