"""Writing to the embedded log when the disk is full, a file is damaged, a process is killed, and others do the same."""

from __future__ import annotations

import errno
import json
import logging
import multiprocessing
import os
import random
import resource
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from connectors.log import LogReader, LogWriter, create_topics
from connectors.log.folders import described, partition_folder
from connectors.log.head import NAME
from state.records import Ack, TopicPartition, TopicSpec
from tests.connectors.contract import eventually, read
from tests.connectors.logs import TP, LogDoor, OnePartition

_spawn = multiprocessing.get_context("spawn")


def fill_the_disk(root: Path, told: Any) -> None:
    """A disk on which no file can grow beyond 10 kB takes a part of a frame; then there is room again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = LogWriter(root)
    for number in range(5):
        writer.send("orders", b"anna", b"%d" % number, number)
    assert writer.flush(10)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    for number in range(5, 10):
        writer.send("orders", b"anna", b"%d" % number * 4_000, number)
    told.send(writer.flush(0.5))
    told.send([record.value for record in OnePartition(root).read()])
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    told.send(writer.flush(10))
    told.send(list(writer.acknowledged()))
    writer.close()


def test_a_full_disk_is_waited_out_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    partition = OnePartition.made(tmp_path)
    hears, tells = _spawn.Pipe()
    process = _spawn.Process(target=fill_the_disk, args=(tmp_path, tells))
    process.start()
    assert hears.recv() is False, "the disk is full"
    assert hears.recv() == [b"%d" % number for number in range(5)], "half a frame is not read"
    assert hears.recv() is True
    assert hears.recv() == [Ack(number, None) for number in range(10)]
    process.join(10)
    assert process.exitcode == 0
    assert partition.values() == [b"%d" % number * (1 if number < 5 else 4_000) for number in range(10)]


def test_a_damaged_partition_is_told_of_and_holds_up_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    create_topics(tmp_path, [TopicSpec("orders", 1, 7), TopicSpec("views", 1, 7)])
    orders = OnePartition(tmp_path)
    orders.append([b"1", b"2", b"3"])
    whole = orders.files()[0].read_bytes()
    orders.files()[0].write_bytes(whole[:-5])
    with caplog.at_level(logging.ERROR, "impuls.log"), closing(LogWriter(tmp_path)) as writer:
        assert writer.send("orders", b"anna", b"4", "order")
        assert writer.send("views", b"anna", b"seen", "view")
        assert eventually(lambda: list(writer.acknowledged()) == [Ack("view", None)])
        assert not writer.flush(0.2)
        [line] = caplog.records
        assert line.message == "cannot append"
        assert line.__dict__["place"] == "orders/0"
        assert "backup" in line.__dict__["fact"]
        orders.files()[0].write_bytes(whole)
        assert writer.flush(10)
        assert list(writer.acknowledged()) == [Ack("order", None)]
    assert orders.values() == [b"1", b"2", b"3", b"4"]


def test_an_append_that_could_not_be_synced_is_given_to_the_disk_again_and_stands_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partition, real, faults = OnePartition.made(tmp_path), os.fdatasync, [1, 1]

    def sync(descriptor: int) -> None:
        if faults:
            faults.pop()
            raise OSError(errno.EIO, "the disk failed")
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", sync)
    with partition.appender(fsync=True) as appender, partition.appender(fsync=True) as other:
        for _ in range(2):
            with pytest.raises(OSError, match="the disk failed"):
                appender.append(1, [(None, b"first")])
        assert other.append(1, [(None, b"other's")]) == 1
        assert appender.append(1, [(None, b"first")]) == 0
        assert appender.append(1, [(None, b"second")]) == 2
    assert partition.values() == [b"first", b"other's", b"second"]


def test_waiting_for_answers_waits_when_there_are_none(tmp_path: Path) -> None:
    OnePartition.made(tmp_path)
    with closing(LogWriter(tmp_path)) as writer:
        for number in range(50):
            writer.send("orders", b"anna", b"x", number)
            assert eventually(lambda: bool(writer.acknowledged()))
        writer.acknowledged()
        began = time.monotonic()
        writer.wait(0.2)
        assert time.monotonic() - began > 0.15


def test_one_may_flush_while_another_thread_sends(tmp_path: Path) -> None:
    OnePartition.made(tmp_path)
    with closing(LogWriter(tmp_path)) as writer:
        flushing = threading.Thread(target=lambda: [writer.flush(5) for _ in range(300)])
        flushing.start()
        for number in range(300):
            assert writer.send("orders", b"anna", b"%d" % number)
        flushing.join(10)
        assert writer.flush(1)


def test_the_buffer_is_bounded_while_the_disk_takes_nothing(tmp_path: Path) -> None:
    orders = OnePartition.made(tmp_path)
    (orders.folder / NAME).unlink()
    (orders.folder / NAME).mkdir()  # nobody can open it
    with closing(LogWriter(tmp_path)) as writer:
        taken = 0
        while writer.send("orders", b"anna", b"x" * 10_000):
            taken += 1
            assert taken < 10_000
        (orders.folder / NAME).rmdir()
        assert writer.flush(20)
    assert len(orders.read()) == taken


# -- several processes


def append_for_ever(root: Path, name: str, told: Any) -> None:
    """Says what was acknowledged, until it is killed."""
    writer = LogWriter(root, segment_bytes_max=50_000)
    for number in range(10_000_000):
        while not writer.send("orders", b"%d" % (number % 9), f"{name} {number}".encode(), number):
            writer.wait(0.1)
        if acks := writer.acknowledged():
            told.send([ack.token for ack in acks])


def test_processes_killed_in_the_middle_of_appending_lose_nothing_they_were_told_is_there(tmp_path: Path) -> None:
    """Three at once, killed and started again; what a kill leaves is no hole, no repetition, no half record."""
    create_topics(tmp_path, [TopicSpec("orders", 2, 7)])
    chance = random.Random(3)
    told: dict[str, list[int]] = {}
    with closing(LogReader(tmp_path)) as reader:
        reader.assign({TopicPartition("orders", 0): 0, TopicPartition("orders", 1): 0})
        live: list[tuple[int, int, bytes | None]] = []
        for round_ in range(3):
            pipes = {f"{round_}-{writer}": _spawn.Pipe(duplex=False) for writer in range(3)}
            running = [
                _spawn.Process(target=append_for_ever, args=(tmp_path, name, tells), daemon=True)
                for name, (_, tells) in pipes.items()
            ]
            for process in running:
                process.start()
            for hears, _ in pipes.values():
                assert hears.poll(20)
            until = time.monotonic() + chance.uniform(0.05, 0.2)
            while time.monotonic() < until:
                for fetched in reader.poll(1000):
                    live += [(fetched.partition, record.offset, record.value) for record in fetched.records]
                reader.wait(0.05)
            for process in running:
                process.kill()
            for process in running:
                process.join()
            for name, (hears, tells) in pipes.items():
                tells.close()
                while hears.poll():
                    try:
                        told.setdefault(name, []).extend(hears.recv())
                    except (EOFError, OSError):  # killed in the middle of telling
                        break
        with closing(LogWriter(tmp_path)) as last:
            last.send("orders", b"0", b"last 0")
            last.send("orders", b"1", b"last 1")
            assert last.flush(10)
        ends = reader.ends(sorted(TopicPartition("orders", partition) for partition in range(2)))
        for found in read(reader, sum(ends.values()) - len(live)).items():
            live += [(found[0].partition, record.offset, record.value) for record in found[1]]
    by_partition = {p: [offset for at, offset, _ in live if at == p] for p in range(2)}
    assert {p: list(range(ends[TopicPartition("orders", p)])) for p in range(2)} == by_partition
    values = [value for _, _, value in live]
    assert len(set(values)) == len(values)
    there = set(values)
    assert len(told) == 9
    for name, numbers in told.items():
        assert [number for number in numbers if f"{name} {number}".encode() not in there] == []


def make_topic(root: Path, partitions: int, go: Any) -> None:
    go.wait()
    create_topics(root, [TopicSpec("orders", partitions, 7)])


def test_of_two_processes_that_make_a_topic_the_first_says_how_many_partitions(tmp_path: Path) -> None:
    go = _spawn.Event()
    counts = (2, 3, 4)
    makers = [_spawn.Process(target=make_topic, args=(tmp_path, count, go)) for count in counts]
    for maker in makers:
        maker.start()
    go.set()
    for maker in makers:
        maker.join(20)
    assert [maker.exitcode for maker in makers] == [0, 0, 0]
    there = described(tmp_path / "topics" / "orders" / "topic.json").partitions
    assert there in counts
    assert partition_folder(tmp_path, TopicPartition("orders", there - 1)).is_dir()
    assert not partition_folder(tmp_path, TopicPartition("orders", there)).exists()


def hang_a_bell(root: Path, told: Any) -> None:
    told.send([reader.fileno() for reader in (LogReader(root), LogReader(root))])
    time.sleep(60)


def test_the_bells_of_killed_processes_are_taken_down(tmp_path: Path) -> None:
    OnePartition.made(tmp_path)
    hears, tells = _spawn.Pipe()
    process = _spawn.Process(target=hang_a_bell, args=(tmp_path, tells), daemon=True)
    process.start()
    hears.recv()
    process.kill()
    process.join()
    with closing(LogReader(tmp_path)), closing(LogWriter(tmp_path)) as writer:
        assert len(list((tmp_path / "bells").iterdir())) == 3
        writer.send("orders", b"anna", b"1")
        assert writer.flush(5)
        assert eventually(lambda: len(list((tmp_path / "bells").iterdir())) == 1, 5)
    assert list((tmp_path / "bells").iterdir()) == []


def answer(root: Path, told: Any) -> None:
    """Says when each record was there, on the machine's monotonic clock."""
    with closing(LogReader(root)) as reader:
        reader.assign({TP: 0})
        told.send("ready")
        while True:
            for fetched in reader.poll(100):
                for record in fetched.records:
                    told.send((record.offset, time.monotonic()))
            reader.wait(10)


def test_a_reader_in_another_process_is_woken_within_a_millisecond_or_so(tmp_path: Path) -> None:
    """The median of many; on a machine with other work to do the slowest say little."""
    OnePartition.made(tmp_path)
    hears, tells = _spawn.Pipe()
    process = _spawn.Process(target=answer, args=(tmp_path, tells), daemon=True)
    process.start()
    assert hears.recv() == "ready"
    took = []
    with closing(LogWriter(tmp_path)) as writer:
        for number in range(200):
            sent_at = time.monotonic()
            writer.send("orders", b"anna", b"x")
            offset, at = hears.recv()
            assert offset == number
            took.append(at - sent_at)
    process.kill()
    process.join()
    took.sort()
    print(json.dumps({"woken_ms": {"p50": took[100] * 1000, "p90": took[180] * 1000}}))
    assert took[20] < 0.001
    assert took[100] < 0.01


def test_what_a_door_gives_for_power_cuts_is_read_like_any_other(tmp_path: Path) -> None:
    door = LogDoor(tmp_path, fsync=True)
    door.create("orders", 2)
    with closing(door.writer()) as writer:
        for number in range(100):
            assert writer.send("orders", b"%d" % number, b"%d" % number, number)
        assert writer.flush(20)
        assert [ack.error for ack in writer.acknowledged()] == [None] * 100
    with closing(door.reader()) as reader:
        reader.assign({TopicPartition("orders", 0): 0, TopicPartition("orders", 1): 0})
        assert sum(len(records) for records in read(reader, 100).values()) == 100
