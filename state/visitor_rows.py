"""How visitors rest in the learner's store: each sealed under a key of her own, kept beside the keys of the shards.

To destroy her key is to erase what is kept of her there, wherever it was copied to.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from state.codec import Codec, check_version
from state.keyring import load_or_make
from state.keys import KeyCache, KeyStore
from state.rocks import Memory
from state.store_errors import KeyLost

FOLDER = "recommender"
KEYS_MAX = 8_192  # ready for use


def is_plain(stored: bytes) -> bool:
    """Whether a row is from before rows were sealed: an array of four, where sealed rows begin with a version."""
    return bool(stored) and stored[0] & 0xF0 == 0x90


class VisitorRows:
    """Seals and opens rows.  New keys are to be flushed before what was sealed under them is written."""

    def __init__(self, data_dir: Path, memory: Memory) -> None:
        """Raises `StoreRefused` when there are keys but no key ring, `StoreBusy` beside another learner."""
        ring = load_or_make(data_dir / "keyring", may_make=not (data_dir / "keys").exists())
        self._folder, self._ring, self._memory = data_dir / "keys", ring, memory
        path = self._folder / FOLDER
        for each in (path.parent, path):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._keys = KeyStore(path, ring, memory, KeyCache(KEYS_MAX), create=True)
        self._codec = Codec()
        self.flush, self.close = self._keys.flush, self._keys.close

    def seal(self, who: bytes, place: bytes, row: bytes) -> bytes:
        return self._codec.seal(self._keys.ensure(who), place, row)

    def open(self, who: bytes, place: bytes, stored: bytes) -> bytes | None:
        """None where her key is gone.  Raises `StoreRefused` for newer bytes, `StoreDamaged` for others."""
        if is_plain(stored):
            return stored
        key = self._keys.get(who)
        if key is None:
            check_version(stored)
            return None
        try:
            return self._codec.open(key, place, stored)
        except KeyLost:
            return None

    def forget(self, visitors: Sequence[bytes]) -> None:
        """Delete the keys of these; see `KeyStore.forget`."""
        if visitors:
            self._keys.forget(list(visitors))

    def destroyed_in(self, shard: int, scratch: Path) -> list[tuple[bytes, bytes]]:
        """Whose keys were destroyed in a shard, and the marks that say so; read beside its worker."""
        path = self._folder / f"{shard:03}"
        if not (path / "CURRENT").exists():
            return []
        keys = KeyStore(path, self._ring, self._memory, KeyCache(1), secondary=scratch)
        try:
            keys.refresh()
            return list(keys.destroyed())
        finally:
            keys.close()

    def destroy(self, who: bytes) -> None:
        """Returns when no file holds her key any more."""
        self._keys.destroy(who)
