"""What a shard counts for as long as it lives, written together with what it counts.

Not a metric, which begins anew with the process: these numbers are compared with each other weeks later, and a
customer must stand in them exactly once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from state.store import Batch, ShardStore

META = b"tallies"
KEYS_MAX = 4096
Key = tuple[str, ...]
Counts = dict[Key, int]

_Stored = list[tuple[list[str], int]]


class Tallies:
    """Counts by key; the keys that came first go where there are too many."""

    def __init__(self, store: ShardStore) -> None:
        self._counts = decode(store.meta(META))
        self._changed = False

    def add(self, key: Key, by: int = 1) -> None:
        self._counts[key] = self._counts.get(key, 0) + by
        self._changed = True

    def save(self, batch: Batch) -> None:
        """Put them into the batch that holds what they count."""
        if not self._changed:
            return
        for key in list(self._counts)[: max(0, len(self._counts) - KEYS_MAX)]:
            del self._counts[key]
        batch.set_meta(META, encode(self._counts))
        self._changed = False

    @property
    def counts(self) -> Counts:
        """As they are now, for another thread to read."""
        return dict(self._counts)


def tallied_in(store: ShardStore) -> Counts:
    return decode(store.meta(META))


def together(counts: Iterable[Mapping[Key, int]]) -> Counts:
    total: Counts = {}
    for each in counts:
        for key, count in each.items():
            total[key] = total.get(key, 0) + count
    return total


def encode(counts: Mapping[Key, int]) -> bytes:
    return msgspec.msgpack.encode([(key, count) for key, count in counts.items()])


def decode(raw: bytes | None) -> Counts:
    stored: _Stored = msgspec.msgpack.decode(raw, type=_Stored) if raw else []
    return {tuple(key): count for key, count in stored}
