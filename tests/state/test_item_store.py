"""What is known of products stays on disk, with how far it was learnt, and can be read beside its writer."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from rocksdict import Rdict

from state.item_store import FOLDER, ItemStore
from state.money import Money
from state.recommendations import ItemFacts
from state.records import TopicPartition
from state.rocks import Memory, open_database
from state.store_errors import StoreBusy, StoreDamaged, StoreRefused
from tests.state.stores import ANNA, BERTA, everything_in, fill, opened

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
    assert not reader.refresh()
    for row in (b"row", b"another"):
        writer.commit({"shoes": row}, {}, {}, {})
        assert reader.refresh()
        assert not reader.refresh()
        assert reader.row("shoes") == row
    with pytest.raises(StoreBusy):
        ItemStore.open(tmp_path, Memory(8, 8))
    reader.close()
    writer.close()


def test_a_reader_that_was_too_late_for_what_its_writer_flushed_knows_that_it_is_to_be_opened_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = ItemStore.open(tmp_path, Memory(8, 8))
    writer.commit({"shoes": b"old"}, {}, {}, {})

    def opened(path: Path, memory: Memory, *, create: bool, secondary: Path | None = None) -> Rdict:
        database = open_database(path, memory, create=create, secondary=secondary)
        writer.commit({"shoes": b"new"}, {}, {}, {})
        writer._database.flush()
        return database

    with monkeypatch.context() as patched:
        patched.setattr("state.item_store.open_database", opened)
        reader = ItemStore.open_reading(tmp_path, tmp_path / "scratch", Memory(8, 8))
    assert reader is not None
    assert (reader.row("shoes"), reader.is_outdated) == (b"old", True)
    reader.close()
    reader = ItemStore.open_reading(tmp_path, tmp_path / "scratch", Memory(8, 8))
    assert reader is not None
    assert (reader.row("shoes"), reader.is_outdated) == (b"new", False)
    reader.close()
    writer.close()


def test_a_reader_knows_that_its_folder_was_deleted_and_made_anew(tmp_path: Path) -> None:
    ItemStore.open(tmp_path, Memory(8, 8)).close()
    reader = ItemStore.open_reading(tmp_path, tmp_path / "scratch", Memory(8, 8))
    assert reader is not None
    assert not reader.is_outdated
    shutil.rmtree(tmp_path / FOLDER)
    ItemStore.open(tmp_path, Memory(8, 8)).close()
    assert reader.is_outdated
    reader.close()


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


HABITS = b"\x94she comes at nine in the evening"  # begins as a visitor's row does


def test_of_what_a_visitor_does_no_file_holds_a_byte_in_the_clear(tmp_path: Path) -> None:
    store = ItemStore.open(tmp_path, Memory(8, 8))
    store.commit({}, {}, {}, {}, {ANNA: HABITS})
    store._database.flush()  # into a table file as well as the write-ahead log
    store.commit({}, {}, {}, {}, {BERTA: HABITS})
    assert dict(store.visitors()) == {ANNA: HABITS, BERTA: HABITS}
    assert b"she comes" not in everything_in(tmp_path)
    store.close()
    store = ItemStore.open(tmp_path, Memory(8, 8))
    assert dict(store.visitors()) == {ANNA: HABITS, BERTA: HABITS}
    store.close()


def test_with_her_key_all_that_was_learnt_of_a_visitor_is_gone_also_from_copies(tmp_path: Path) -> None:
    store = ItemStore.open(tmp_path, Memory(8, 8))
    store.commit({}, {}, {}, {}, {ANNA: HABITS, BERTA: HABITS})
    sealed = store._database.get(b"v" + ANNA)
    assert sealed
    store.erase(ANNA)
    assert sealed not in everything_in(tmp_path)
    store._database[b"v" + ANNA] = sealed  # as a copy from before would have it
    assert dict(store.visitors()) == {BERTA: HABITS}
    store.commit({}, {}, {}, {}, {ANNA: HABITS})  # she came back, under a new key
    assert dict(store.visitors()) == {ANNA: HABITS, BERTA: HABITS}
    store.commit({}, {}, {}, {}, {ANNA: None, BERTA: None})
    assert list(store.visitors()) == []
    store.close()


def test_a_store_from_before_visitors_were_sealed_is_read_and_holds_none_in_the_clear_any_more(tmp_path: Path) -> None:
    store = ItemStore.open(tmp_path, Memory(8, 8))
    store._database[b"format"] = bytes((1,))
    for owner in (ANNA, BERTA):
        store._database[b"v" + owner] = HABITS
    store._database.flush()
    assert b"she comes" in everything_in(tmp_path)
    store.close()
    store = ItemStore.open(tmp_path, Memory(8, 8))
    assert dict(store.visitors()) == {ANNA: HABITS, BERTA: HABITS}
    assert b"she comes" not in everything_in(tmp_path)
    store.close()


def test_a_visitor_whom_a_newer_version_wrote_is_refused_not_dropped(tmp_path: Path) -> None:
    store = ItemStore.open(tmp_path, Memory(8, 8))
    for owner in (ANNA, BERTA):
        store.commit({}, {}, {}, {}, {ANNA: HABITS})
        store._database[b"v" + owner] = bytes((2,)) + bytes(40)
        with pytest.raises(StoreRefused):
            list(store.visitors())
    store.close()


def test_whose_key_is_destroyed_in_her_shard_is_erased_here_once_each_time(tmp_path: Path) -> None:
    store = ItemStore.open(tmp_path, Memory(8, 8))
    store.commit({}, {}, {}, {}, {ANNA: HABITS, BERTA: HABITS})
    sealed = store._database.get(b"v" + ANNA)
    assert sealed
    with opened(tmp_path) as shard:
        fill(shard, ANNA)
        fill(shard, BERTA)
        assert store.erase_with(0, tmp_path / "scratch") == []
        shard.erase(ANNA)
        assert store.erase_with(0, tmp_path / "scratch") == [ANNA]
        assert dict(store.visitors()) == {BERTA: HABITS}
        assert sealed not in everything_in(tmp_path)
        store.commit({}, {}, {}, {}, {ANNA: HABITS})  # she came back
        fill(shard, ANNA)
        assert store.erase_with(0, tmp_path / "scratch") == []
        shard.erase(ANNA)
        assert store.erase_with(0, tmp_path / "scratch") == [ANNA]
        assert store.erase_with(1, tmp_path / "scratch") == []
    store.close()
