"""What is known of products stays on disk, with how far it was learnt, and can be read beside its writer."""

from __future__ import annotations

from pathlib import Path

import pytest

from state.item_store import FOLDER, ItemStore
from state.money import Money
from state.recommendations import ItemFacts
from state.records import TopicPartition
from state.rocks import Memory
from state.store_errors import StoreBusy, StoreDamaged, StoreRefused

SHOES = ItemFacts(name="Shoes", price=Money(9900, "PLN"), available=True, at=7)
PLACE = TopicPartition("clickstream", 3)


def test_what_was_learnt_and_how_far_are_found_again(tmp_path: Path) -> None:
    store = ItemStore.open(tmp_path, Memory(8, 8))
    store.commit({"shoes": b"row"}, {"shoes": SHOES}, {"trust": b"note"}, {PLACE: 42})
    store.close()
    store = ItemStore.open(tmp_path, Memory(8, 8))
    assert (store.row("shoes"), store.facts("shoes"), store.note("trust")) == (b"row", SHOES, b"note")
    assert (store.row("hat"), store.facts("hat"), store.note("none")) == (None, None, None)
    assert store.watermarks() == {PLACE: 42}
    store.close()


def test_a_reader_sees_what_is_written_beside_it(tmp_path: Path) -> None:
    assert ItemStore.open_reading(tmp_path, tmp_path / "scratch", Memory(8, 8)) is None
    writer = ItemStore.open(tmp_path, Memory(8, 8))
    reader = ItemStore.open_reading(tmp_path, tmp_path / "scratch", Memory(8, 8))
    assert reader is not None
    writer.commit({"shoes": b"row"}, {}, {}, {})
    reader.refresh()
    assert reader.row("shoes") == b"row"
    with pytest.raises(StoreBusy):
        ItemStore.open(tmp_path, Memory(8, 8))
    reader.close()
    writer.close()


def test_what_a_newer_version_wrote_is_refused(tmp_path: Path) -> None:
    store = ItemStore.open(tmp_path, Memory(8, 8))
    store._database[b"format"] = bytes((99,))
    store.close()
    with pytest.raises(StoreRefused, match="newer version"):
        ItemStore.open(tmp_path, Memory(8, 8))


def test_bytes_that_are_no_facts_are_an_error_and_not_an_unknown_product(tmp_path: Path) -> None:
    store = ItemStore.open(tmp_path, Memory(8, 8))
    store._database[b"fshoes"] = b"\xc1"
    with pytest.raises(StoreDamaged, match=FOLDER):
        store.facts("shoes")
    store.close()
