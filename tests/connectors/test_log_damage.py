"""What the embedded log does when its files are not what was written: never a wrong record, never one less unseen."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.log import create_topics
from connectors.log.ending import end_of
from connectors.log.head import NAME
from state.records import LogError, TopicSpec
from tests.connectors.logs import TP, OnePartition

ORDERS = [b"order %d of anna" % number * (1 + number % 5) for number in range(30)]


@pytest.fixture
def orders(tmp_path: Path) -> OnePartition:
    partition = OnePartition.made(tmp_path)
    partition.append(ORDERS)
    assert len(partition.files()) > 3
    return partition


@settings(max_examples=150, deadline=None)
@given(data=st.data(), power_cut=st.booleans())
def test_a_flipped_bit_is_named_or_harmless_but_never_believed(data: st.DataObject, power_cut: bool) -> None:
    with TemporaryDirectory() as folder:
        orders = OnePartition.made(Path(folder))
        orders.append(ORDERS)
        if power_cut:
            orders.forget_the_head()
        files = orders.files()
        file = data.draw(st.sampled_from(files))
        place = data.draw(st.integers(0, file.stat().st_size - 1))
        raw = bytearray(file.read_bytes())
        raw[place] ^= 1 << data.draw(st.integers(0, 7))
        file.write_bytes(raw)
        since = data.draw(st.integers(0, len(ORDERS)))
        with suppress(LogError):  # it names the place; see below
            read = orders.values(since)
            assert read == ORDERS[since : since + len(read)]
            is_torn_tail = power_cut and file == files[-1]
            assert since + len(read) == len(ORDERS) or is_torn_tail, "only a power cut may cost the last records"


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_segment_cut_short_is_named_while_there_are_later_ones(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        orders = OnePartition.made(Path(folder))
        orders.append(ORDERS)
        if data.draw(st.booleans()):
            orders.forget_the_head()
        file = data.draw(st.sampled_from(orders.files()[:-1]))
        length = data.draw(st.integers(0, file.stat().st_size - 1))
        with file.open("r+b") as opened:
            opened.truncate(length)
        with pytest.raises(LogError, match="damaged"):
            orders.read()


def test_damage_is_told_with_its_place_and_the_way_out(orders: OnePartition) -> None:
    raw = bytearray(orders.files()[1].read_bytes())
    raw[40] ^= 1
    orders.files()[1].write_bytes(raw)
    with pytest.raises(LogError, match=rf"orders/0: .* after offset \d+ .*{orders.files()[1].name}.* from a backup"):
        orders.read()


def test_a_segment_that_is_missing_is_named(orders: OnePartition) -> None:
    orders.files()[1].unlink()
    with pytest.raises(LogError, match="damaged"):
        orders.read()


@pytest.mark.parametrize("kept", [0, 1, 27, 28, 60])
def test_a_torn_tail_is_cut_and_the_next_order_stands_in_its_place(tmp_path: Path, kept: int) -> None:
    partition = OnePartition.made(tmp_path, segment_bytes_max=1 << 20)
    partition.append([b"whole"])
    size = partition.files()[0].stat().st_size
    partition.append([b"torn away" * 10])
    partition.forget_the_head()
    with partition.files()[0].open("r+b") as opened:
        opened.truncate(size + kept)
    assert partition.values() == [b"whole"]
    assert end_of(partition.folder) == 1
    create_topics(tmp_path, [TopicSpec(TP.topic, 1, 7)])
    assert partition.files()[0].stat().st_size == size, "cut at start"
    partition.append([b"next"])
    assert [(record.offset, record.value) for record in partition.read()] == [(0, b"whole"), (1, b"next")]


@pytest.mark.parametrize("seen", [1, 27, 28, 31, 60])
def test_an_order_that_is_being_written_while_the_end_is_looked_for_is_there_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: int
) -> None:
    """A reader may see a part of a write, and then that there is more."""
    partition = OnePartition.made(tmp_path, segment_bytes_max=1 << 20)
    partition.append([b"whole"])
    size = partition.files()[0].stat().st_size
    partition.append([b"on its way" * 10])
    partition.forget_the_head()
    pread, looked = os.pread, list[int]()

    def pread_while_it_is_written(descriptor: int, length: int, at: int) -> bytes:
        if length < size:
            return pread(descriptor, length, at)  # of the head
        looked.append(at)
        return pread(descriptor, min(length, size + seen - at) if looked.count(size) < 2 else length, at)

    monkeypatch.setattr(os, "pread", pread_while_it_is_written)
    assert end_of(partition.folder) == 2


def test_damage_with_whole_orders_behind_it_is_no_torn_tail(tmp_path: Path) -> None:
    partition = OnePartition.made(tmp_path, segment_bytes_max=1 << 20)
    partition.append(ORDERS)
    partition.forget_the_head()
    raw = bytearray(partition.files()[0].read_bytes())
    raw[len(raw) // 2] ^= 1
    partition.files()[0].write_bytes(raw)
    with pytest.raises(LogError, match="whole records behind it"):
        create_topics(tmp_path, [TopicSpec(TP.topic, 1, 7)])
    with pytest.raises(LogError, match="damaged"):
        partition.read()
    assert partition.files()[0].read_bytes() == raw, "nothing was cut"


def test_a_log_that_lost_its_end_is_not_written_on(orders: OnePartition) -> None:
    """Acknowledged orders are gone, though the machine was never off: somebody must decide."""
    with orders.files()[-1].open("r+b") as opened:
        opened.truncate(10)
    with pytest.raises(LogError, match="up to offset 30"):
        orders.append([b"next"])
    with pytest.raises(LogError, match="up to offset 30"):
        end_of(orders.folder)
    (orders.folder / NAME).unlink()
    orders.append([b"next"])
    assert orders.values()[-1] == b"next"


def test_a_partition_whose_files_are_gone_does_not_begin_anew(orders: OnePartition) -> None:
    for file in orders.files():
        file.unlink()
    with pytest.raises(LogError, match="up to offset 30"):
        orders.append([b"next"])


def test_a_log_put_back_without_its_heads_is_the_same_log(orders: OnePartition, tmp_path: Path) -> None:
    copy = OnePartition(tmp_path / "put back")
    shutil.copytree(orders.folder, copy.folder, ignore=shutil.ignore_patterns(NAME))
    shutil.copy(orders.folder.parent / "topic.json", copy.folder.parent)
    copy.append([b"next"])
    assert copy.values() == [*ORDERS, b"next"]
