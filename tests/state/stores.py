"""Stores in a temporary folder, for the tests of the shard store and for those who build on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from state.records import TopicPartition
from state.store import Resources, ShardStore

ANNA, BERTA, CLARA = (bytes((letter,)) * 16 for letter in b"ABC")
ORDERS = TopicPartition("orders", 3)
SECRET_WORDS = b"anna@shop.example"


@contextmanager
def opened(data_dir: Path, shard: int = 0, shards: int = 4, *, power: bool = False) -> Iterator[ShardStore]:
    store = ShardStore.open(data_dir, shard, shards, resources=Resources.open(data_dir, cache_mib=4, power=power))
    try:
        yield store
    finally:
        store.close()


def fill(store: ShardStore, owner: bytes = ANNA, words: bytes = SECRET_WORDS) -> None:
    """Something of every kind for one customer."""
    batch = store.batch()
    batch.put_customer(owner, words)
    batch.set_timer(0, 1_000, owner)
    batch.add_decision(owner, 900, b"d1", words)
    batch.add_outbox(store.last_outbox() + 1, owner, "messages", words, words)
    batch.hold(owner, 950, ORDERS, 17, words)
    batch.set_watermark(ORDERS, 18, 950)
    store.commit(batch)


def everything_in(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
