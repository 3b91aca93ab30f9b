"""What a shard's store keeps, finds again and forgets."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from state.keys import KeyStore
from state.passages import EVENT_CLOCK, NEVER, WALL_CLOCK
from state.records import TopicPartition
from state.store import Resources, Row, ShardStore
from state.store_errors import StoreRefused
from tests.state.stores import ANNA, BERTA, CLARA, ORDERS, SECRET_WORDS, everything_in, fill, opened


def test_a_new_store_is_empty(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        assert (store.customer(ANNA), store.watermarks(), store.held(ANNA)) == (None, {}, [])
        assert (store.last_outbox(), store.outbox_rows(), store.timers_count()) == (-1, 0, 0)
        assert store.first_due(EVENT_CLOCK) == NEVER


def test_everything_of_one_commit_is_there_after_reopening(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        fill(store)
    with opened(tmp_path) as store:
        assert store.customer(ANNA) == SECRET_WORDS
        assert store.due(EVENT_CLOCK, 1_001, 10) == [(1_000, ANNA)]
        assert list(store.decisions(ANNA)) == list(store.all_decisions()) == [SECRET_WORDS]
        assert store.outbox(-1, 10) == [Row(0, ANNA, "messages", SECRET_WORDS, SECRET_WORDS)]
        assert [value for _, value in store.held(ANNA)] == [SECRET_WORDS]
        assert store.watermarks() == {ORDERS: (18, 950)}


def test_a_batch_that_is_not_committed_leaves_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.batch().put_customer(ANNA, b"never")
        assert store.customer(ANNA) is None


def test_the_last_word_in_a_batch_counts(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        batch = store.batch()
        batch.put_customer(ANNA, b"first")
        batch.put_customer(ANNA, b"second")
        batch.set_timer(EVENT_CLOCK, 5, ANNA)
        batch.clear_timer(EVENT_CLOCK, 5, ANNA)
        store.commit(batch)
        assert store.customer(ANNA) == b"second"
        assert store.timers_count() == 0


def test_a_batch_may_be_committed_again(tmp_path: Path) -> None:
    """After a full disk the caller repeats what failed; nothing may have been used up."""
    with opened(tmp_path) as store:
        batch = store.batch()
        batch.put_customer(ANNA, b"hello")
        store.commit(batch)
        other = store.batch()
        other.delete_customer(ANNA)
        store.commit(other)
        store.commit(batch)
        assert store.customer(ANNA) == b"hello"


def test_timers_come_in_order_of_time_and_each_clock_has_its_own(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        batch = store.batch()
        for due, owner in ((300, ANNA), (100, BERTA), (200, CLARA)):
            batch.set_timer(EVENT_CLOCK, due, owner)
        batch.set_timer(WALL_CLOCK, 50, ANNA)
        store.commit(batch)
        assert store.first_due(EVENT_CLOCK) == 100
        assert store.due(EVENT_CLOCK, 300, 10) == [(100, BERTA), (200, CLARA)]
        assert store.due(WALL_CLOCK, 1_000, 10) == [(50, ANNA)]


def test_a_timer_set_before_those_already_asked_for_is_found(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        assert store.due(EVENT_CLOCK, 1_000, 10) == []
        batch = store.batch()
        batch.set_timer(EVENT_CLOCK, 400, ANNA)
        store.commit(batch)
        assert store.due(EVENT_CLOCK, 1_000, 10) == [(400, ANNA)]


def test_many_due_timers_come_in_portions(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        batch = store.batch()
        for due in range(25):
            batch.set_timer(EVENT_CLOCK, due, ANNA)
        store.commit(batch)
        seen: list[int] = []
        while rows := store.due(EVENT_CLOCK, 1_000, 10):
            batch = store.batch()
            for due, owner in rows:
                batch.clear_timer(EVENT_CLOCK, due, owner)
            store.commit(batch)
            seen += [due for due, _ in rows]
        assert seen == list(range(25))


def test_held_events_come_in_order_of_time_topic_partition_and_offset(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        batch = store.batch()
        for at, tp, offset, words in (
            (2, ORDERS, 1, b"4"),
            (1, TopicPartition("orders", 1), 9, b"2"),
            (1, ORDERS, 10, b"3"),
            (1, TopicPartition("clicks", 7), 99, b"1"),
        ):
            batch.hold(ANNA, at, tp, offset, words)
        batch.hold(BERTA, 0, ORDERS, 0, b"hers")
        store.commit(batch)
        held = store.held(ANNA)
        assert [words for _, words in held] == [b"1", b"2", b"3", b"4"]
        batch = store.batch()
        batch.release(held[0][0])
        store.commit(batch)
        assert [words for _, words in store.held(ANNA)] == [b"2", b"3", b"4"]


def test_outbox_numbers_go_on_after_all_rows_are_gone_and_the_store_was_reopened(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        fill(store)
        batch = store.batch()
        batch.add_outbox(7, ANNA, "decisions", b"k", b"v")
        batch.remove_outbox(0)
        batch.remove_outbox(7)
        store.commit(batch)
    with opened(tmp_path) as store:
        assert store.outbox_rows() == 0
        assert store.last_outbox() == 7


def test_nothing_personal_is_in_any_file(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        fill(store)
        store.checkpoint(tmp_path / "copy")
        assert SECRET_WORDS not in everything_in(tmp_path)
    assert SECRET_WORDS not in everything_in(tmp_path)
    assert ANNA in everything_in(tmp_path), "the search finds what is there"


def test_folders_and_key_ring_are_for_their_owner_only(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with opened(data):
        pass
    folders = [path for path in (data, *data.rglob("*")) if path.is_dir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    assert stat.S_IMODE((data / "keyring").stat().st_mode) == 0o600


def test_who_was_erased_is_nowhere_any_more(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        fill(store)
        fill(store, BERTA, b"berta")
        assert isinstance(store.keys, KeyStore)
        key = store.keys._database.get(ANNA)
        sealed = store._database.get(b"C" + ANNA)
        assert key
        assert sealed
        store.erase(ANNA, timers=[(EVENT_CLOCK, 1_000)])
        files = everything_in(tmp_path)
        assert key not in files
        assert sealed not in files
        assert (store.customer(ANNA), store.held(ANNA), list(store.decisions(ANNA))) == (None, [], [])
        assert [row.owner for row in store.outbox(-1, 10)] == [BERTA]
        assert store.due(EVENT_CLOCK, 2_000, 10) == [(1_000, BERTA)]
        assert store.customer(BERTA) == b"berta"
    with opened(tmp_path) as store:
        assert (store.customer(ANNA), store.customer(BERTA)) == (None, b"berta")


def test_a_copy_from_before_an_erasure_does_not_bring_her_back(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        fill(store)
        store.checkpoint(tmp_path / "copy")
        store.erase(ANNA)
        batch = store.batch()
        batch.put_customer(ANNA, b"she came back")
        store.commit(batch)
    _put_back(tmp_path)
    with opened(tmp_path) as store:
        assert (store.customer(ANNA), store.held(ANNA), list(store.decisions(ANNA))) == (None, [], [])
        assert store.outbox(-1, 10) == []
        store.commit(store.batch())
        assert store.outbox_rows() == 0, "rows that nothing opens go with the next commit"


def test_who_was_long_unseen_is_forgotten_in_small_bites(tmp_path: Path) -> None:
    owners = [bytes((number,)) * 16 for number in range(25)]
    with opened(tmp_path) as store:
        for number, owner in enumerate(owners):
            fill(store, owner, b"old" if number % 2 else b"new")
        place = b""
        while True:
            found, place = store.sweep_customers(place, 4, lambda record: record == b"old")
            for owner, _ in found:
                store.forget(owner, [(EVENT_CLOCK, 1_000)])
            if not place:
                break
        assert [owner for owner, _ in store.customers()] == owners[::2]
        assert store.timers_count() == len(owners[::2]) == len(list(store.all_decisions()))


def test_old_decisions_are_swept_in_small_bites(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        batch = store.batch()
        for at in range(25):
            batch.add_decision(ANNA if at % 2 else BERTA, at, b"d", str(at).encode())
        store.commit(batch)
        place = store.sweep(b"", 4, 20)
        bites = 1
        while place:
            place = store.sweep(place, 4, 20)
            bites += 1
        assert bites == 7
        assert sorted(store.all_decisions()) == [b"20", b"21", b"22", b"23", b"24"]


def test_readers_see_what_a_running_worker_writes_and_do_not_disturb_it(tmp_path: Path) -> None:
    data, scratch = tmp_path / "data", tmp_path / "scratch"
    scratch.mkdir()
    with opened(data) as store:
        fill(store)
        reader = ShardStore.open_reading(data, 0, scratch, resources=Resources.open_reading(data))
        try:
            assert reader.customer(ANNA) == SECRET_WORDS
            fill(store, BERTA, b"berta")
            reader.refresh()
            assert [record for _, record in reader.customers()] == [SECRET_WORDS, b"berta"]
            store.erase(ANNA)  # rewrites files under the reader
            assert reader.customer(BERTA) == b"berta"
        finally:
            reader.close()
        # A reader may see what it had read before as long as it is open; one opened after an erasure sees none of it.
        again = ShardStore.open_reading(data, 0, scratch, resources=Resources.open_reading(data))
        assert list(again.all_decisions()) == [b"berta"]
        again.close()
        assert store.customer(BERTA) == b"berta"


def test_a_shard_that_a_starting_worker_has_yet_to_make_is_not_taken_for_a_lost_one(tmp_path: Path) -> None:
    data, scratch = tmp_path / "data", tmp_path / "scratch"
    with opened(data):
        resources = Resources.open_reading(data)
        with pytest.raises(StoreRefused, match="not made yet"):
            ShardStore.open_reading(data, 1, scratch, resources=resources)
    (data / "shards" / "000" / "CURRENT").unlink()
    with pytest.raises(StoreRefused, match="no longer whole"):
        ShardStore.open_reading(data, 0, scratch, resources=resources)


def test_reading_where_nothing_is_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreRefused):
        Resources.open_reading(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_is_a_shard_that_opens_in_its_place(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        fill(store)
        store.checkpoint(tmp_path / "copy")
        fill(store, BERTA, b"later")
    _put_back(tmp_path)
    with opened(tmp_path) as store:
        assert (store.customer(ANNA), store.customer(BERTA)) == (SECRET_WORDS, None)
        assert store.watermarks() == {ORDERS: (18, 950)}
        fill(store, BERTA, b"again")
        assert store.customer(BERTA) == b"again"


def test_shards_share_a_data_folder_and_are_synced(tmp_path: Path) -> None:
    resources = Resources.open(tmp_path, cache_mib=4, power=True)
    stores = [ShardStore.open(tmp_path, shard, 4, resources=resources) for shard in range(4)]
    for number, store in enumerate(stores):
        fill(store, bytes((number,)) * 16, b"x")
        store.sync()
        store.close()
    assert len(resources.cache) == 4
    assert sorted(each.name for each in (tmp_path / "shards").iterdir()) == ["000", "001", "002", "003"]


def _put_back(data: Path) -> None:
    (data / "shards" / "000").rename(data / "aside")
    (data / "copy").rename(data / "shards" / "000")


def test_keys_that_are_gone_with_a_write_ahead_log_are_missed_once(tmp_path: Path) -> None:
    data, killed = tmp_path / "data", tmp_path / "killed"
    with opened(data) as store:
        fill(store, ANNA)
    with opened(data) as store:  # whatever is opened anew is in table files
        fill(store, BERTA)
        shutil.copytree(data, tmp_path / "whole")
        shutil.copytree(data, killed)
    with opened(tmp_path / "whole") as store:
        assert store.customer(BERTA) == SECRET_WORDS
        assert not store.lost_keys
    for log in (killed / "keys" / "000").glob("*.log"):
        log.unlink()
    with opened(killed) as store:
        assert store.customer(ANNA) == SECRET_WORDS
        assert store.customer(BERTA) is None
        assert str(killed / "keys" / "000") in store.lost_keys
        assert "backup" in store.lost_keys
        store.accept_keys()
    with opened(killed) as store:
        assert not store.lost_keys


def test_a_shard_put_back_from_before_its_keys_misses_none(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        fill(store, ANNA)
        store.checkpoint(tmp_path / "copy")
    with opened(tmp_path) as store:
        fill(store, BERTA)
        store.erase(ANNA)
    shutil.rmtree(tmp_path / "shards" / "000")
    shutil.move(tmp_path / "copy", tmp_path / "shards" / "000")
    with opened(tmp_path) as store:
        assert not store.lost_keys
