"""A store that ends with its process: as any store while it is there, and nothing to read once it is not."""

from __future__ import annotations

from pathlib import Path

from state.passages import EVENT_CLOCK
from state.passing import PassingStore, resources
from tests.state.stores import ANNA, BERTA, ORDERS, SECRET_WORDS, everything_in, fill


def test_what_is_committed_is_found_while_the_process_lives(tmp_path: Path) -> None:
    store = PassingStore.make(0, resources(tmp_path, 4))
    fill(store)
    fill(store, BERTA, b"berta")
    assert (store.customer(ANNA), store.customer(BERTA)) == (SECRET_WORDS, b"berta")
    assert [value for _, value in store.held(ANNA)] == [SECRET_WORDS]
    assert store.due(EVENT_CLOCK, 1_001, 10) == [(1_000, ANNA), (1_000, BERTA)]
    assert store.watermarks() == {ORDERS: (18, 950)}
    store.forget(ANNA)
    assert (store.customer(ANNA), store.held(ANNA), store.customer(BERTA)) == (None, [], b"berta")
    store.close()


def test_what_it_leaves_behind_is_sealed_under_a_key_that_is_gone(tmp_path: Path) -> None:
    shared = resources(tmp_path, 4)
    store = PassingStore.make(0, shared)
    fill(store)
    store._database.flush()  # as when there is more than fits into memory
    store.close()
    left = everything_in(tmp_path)
    assert ANNA in left, "the search finds what is there"
    assert SECRET_WORDS not in left
    assert {path.name for path in tmp_path.iterdir()} == {"000"}, "no key ring, no key store"


def test_nothing_is_written_ahead(tmp_path: Path) -> None:
    store = PassingStore.make(0, resources(tmp_path, 4))
    fill(store)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.log")) == 0
    store.close()
