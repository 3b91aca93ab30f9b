"""What every log promises, as tests: the embedded log and Kafka both take them.

A log plugs in by a subclass of `LogContract` with one fixture:

    from tests.connectors.contract import Door, LogContract, topic, wide  # fixtures go by being imported

    class TestLog(LogContract):
        @pytest.fixture
        def door(self, tmp_path: Path) -> Door:
            return LogDoor(tmp_path)

A `Door` is a small picklable value, since some tests hand it to other processes. What is true of one log only is
tested beside its subclass.
"""

from __future__ import annotations

import multiprocessing
import select
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

import pytest

from state.records import Ack, Fetched, LogError, Reader, Record, TopicPartition, Writer

SECONDS_MAX = 30.0
IDLE_REPORTS = 3
_spawn = multiprocessing.get_context("spawn")


class Door(Protocol):
    """A log under test."""

    def create(self, topic: str, partitions: int) -> None:
        """Make a topic, or leave it as it is where it is there."""

    def reader(self, group: str = "") -> Reader: ...

    def writer(self) -> Writer: ...


# -- what the tests say things with


def all_of(reader: Reader, topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, partition) for partition in reader.partitions(topic)]


def polls(reader: Reader, seconds: float = SECONDS_MAX, records_max: int = 1000) -> Iterator[Fetched]:
    """All that is reported, for at most so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield from reader.poll(records_max)
        reader.wait(0.05)


def read(reader: Reader, count: int, records_max: int = 1000) -> dict[TopicPartition, list[Record]]:
    """What comes until there are so many records (or time is up); checks the ranges on the way."""
    found: dict[TopicPartition, list[Record]] = {}
    ends: dict[TopicPartition, int] = {}
    if count == 0:
        return found
    for fetched in polls(reader, records_max=records_max):
        tp = TopicPartition(fetched.topic, fetched.partition)
        assert ends.get(tp, fetched.start) == fetched.start, "a range begins where the one before ended"
        assert all(fetched.start <= record.offset < fetched.end for record in fetched.records)
        ends[tp] = fetched.end
        found.setdefault(tp, []).extend(fetched.records)
        if sum(map(len, found.values())) >= count:
            break
    return {tp: records for tp, records in found.items() if records}


def read_from_the_beginning(door: Door, topic: str, count: int) -> dict[TopicPartition, list[Record]]:
    with closing(door.reader()) as reader:
        reader.assign(reader.beginnings(all_of(reader, topic)))
        return read(reader, count)


def values(found: Mapping[TopicPartition, Sequence[Record]]) -> list[bytes | None]:
    return [record.value for records in found.values() for record in records]


def append(door: Door, topic: str, records: Sequence[tuple[bytes | None, bytes]]) -> None:
    """Append and wait until they are in the log."""
    with closing(door.writer()) as writer:
        send_all(writer, topic, records)
        assert writer.flush(SECONDS_MAX)


def send_all(writer: Writer, topic: str, records: Sequence[tuple[bytes | None, bytes]]) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    for number, (key, value) in enumerate(records):
        while not writer.send(topic, key, value, number):
            assert time.monotonic() < deadline, "the writer takes nothing"
            writer.wait(0.05)


def eventually(look: Callable[[], bool], seconds: float = SECONDS_MAX) -> bool:
    """For what the log promises to do by itself, soon."""
    deadline = time.monotonic() + seconds
    pause = select.poll()  # waits for nothing, so only for the time
    while not look():
        if time.monotonic() >= deadline:
            return False
        pause.poll(20)
    return True


@contextmanager
def process(target: Callable[..., None], *arguments: Any) -> Iterator[BaseProcess]:
    started = _spawn.Process(target=target, args=arguments, daemon=True)
    started.start()
    try:
        yield started
        started.join(SECONDS_MAX)
        assert started.exitcode == 0
    finally:
        if started.is_alive():
            started.kill()
        started.join()


# -- what other processes do


def append_numbered(door: Door, topic: str, name: str, count: int) -> None:
    append(door, topic, [(b"%d" % (number % 7), f"{name} {number}".encode()) for number in range(count)])


def tell_what_comes(door: Door, topic: str, told: Any, count: int) -> None:
    """Says "ready", then the time (seconds, of the machine's monotonic clock) at which each record was there."""
    with closing(door.reader()) as reader:
        reader.assign(reader.ends(all_of(reader, topic)))
        while not any(fetched.idle_at for fetched in reader.poll(1000)):
            reader.wait(0.05)
        told.send("ready")
        while count:
            for fetched in reader.poll(1000):
                for record in fetched.records:
                    told.send((record.value, time.monotonic()))
                    count -= 1
            reader.wait(SECONDS_MAX)


def append_slowly(door: Door, topic: str, told: Any, count: int) -> None:
    """One by one; says for each when it was acknowledged (wall time, seconds)."""
    with closing(door.writer()) as writer:
        for number in range(count):
            value = b"%d" % number
            assert writer.send(topic, b"%d" % (number % 11), value)
            assert writer.flush(SECONDS_MAX)
            told.send((value, time.time()))


# -- the promises


def _fresh(door: Door, partitions: int) -> str:
    name = f"t-{uuid.uuid4().hex[:12]}"
    door.create(name, partitions)
    return name


@pytest.fixture
def topic(door: Door) -> str:
    """A fresh topic with four partitions."""
    return _fresh(door, 4)


@pytest.fixture
def wide(door: Door) -> str:
    """A fresh topic with sixteen partitions."""
    return _fresh(door, 16)


class LogContract:
    """Needs a fixture `door`, of the subclass or its module, and the fixtures `topic` and `wide` from here."""

    def test_records_come_back_as_they_were(self, door: Door, topic: str) -> None:
        before = time.time() * 1000 - 1
        records = [(b"k", b"v"), (None, b"no key"), (b"\xff\x00", bytes(range(256))), (b"k", b"x" * 100_000)]
        append(door, topic, records)
        found = read_from_the_beginning(door, topic, len(records))
        assert sorted((r.key or b"", r.value or b"") for each in found.values() for r in each) == sorted(
            (key or b"", value) for key, value in records
        )
        assert {r.key is None for each in found.values() for r in each if r.value == b"no key"} == {True}
        assert all(before <= r.timestamp_ms <= time.time() * 1000 + 1 for each in found.values() for r in each)

    def test_one_key_keeps_its_order_and_its_partition(self, door: Door, topic: str) -> None:
        sent = [(f"c{number % 20}".encode(), b"%d" % number) for number in range(600)]
        append(door, topic, sent[:300])
        append(door, topic, sent[300:])
        found = read_from_the_beginning(door, topic, len(sent))
        for key in {key for key, _ in sent}:
            [where] = [records for records in found.values() if any(record.key == key for record in records)]
            assert [r.value for r in where if r.key == key] == [value for each, value in sent if each == key]
        assert len(found) > 1, "keys are spread"

    def test_nothing_is_lost_on_restart(self, door: Door, topic: str) -> None:
        for round_ in range(3):
            append(door, topic, [(b"a", b"%d" % round_)])
        assert values(read_from_the_beginning(door, topic, 3)) == [b"0", b"1", b"2"]

    def test_closing_a_writer_flushes_it(self, door: Door, topic: str) -> None:
        writer = door.writer()
        send_all(writer, topic, [(b"a", b"%d" % number) for number in range(500)])
        writer.close()
        assert len(values(read_from_the_beginning(door, topic, 500))) == 500

    def test_what_was_acknowledged_can_be_read(self, door: Door, topic: str) -> None:
        with closing(door.writer()) as writer:
            send_all(writer, topic, [(b"a", b"%d" % number) for number in range(100)])
            acks: list[Ack] = []
            deadline = time.monotonic() + SECONDS_MAX
            while len(acks) < 100 and time.monotonic() < deadline:
                writer.wait(0.1)
                acks += writer.acknowledged()
            assert acks == [Ack(number, None) for number in range(100)]
            with closing(door.reader()) as reader:
                assert sum(reader.ends(all_of(reader, topic)).values()) == 100

    def test_only_what_carries_a_token_is_acknowledged(self, door: Door, topic: str) -> None:
        with closing(door.writer()) as writer:
            for number in range(10):
                assert writer.send(topic, b"a", b"v", "mine" if number == 9 else None)
            assert writer.flush(SECONDS_MAX)
            assert [ack.token for ack in writer.acknowledged()] == ["mine"]
            assert list(writer.acknowledged()) == []

    def test_a_record_too_large_is_refused_without_harm_to_the_others(self, door: Door, topic: str) -> None:
        sent = [(b"a", b"before"), (b"a", b"x" * (3 << 20)), (b"a", b"after"), (b"a", b"at last")]
        with closing(door.writer()) as writer:
            send_all(writer, topic, sent)
            assert writer.flush(SECONDS_MAX)
            errors = {ack.token: ack.error for ack in writer.acknowledged()}
        assert {token for token, error in errors.items() if error} == {1}
        assert len(errors) == 4
        assert values(read_from_the_beginning(door, topic, 3)) == [b"before", b"after", b"at last"]

    def test_readers_have_their_own_places(self, door: Door, topic: str) -> None:
        append(door, topic, [(b"a", b"%d" % number) for number in range(10)])
        with closing(door.reader()) as one, closing(door.reader()) as other:
            [tp] = [tp for tp, end in one.ends(all_of(one, topic)).items() if end]
            one.assign({tp: 0})
            other.assign({tp: 7})
            assert values(read(one, 10)) == [b"%d" % number for number in range(10)]
            assert values(read(other, 3)) == [b"7", b"8", b"9"]

    def test_an_assignment_says_where_to_read_from(self, door: Door, topic: str) -> None:
        append(door, topic, [(b"a", b"%d" % number) for number in range(10)])
        with closing(door.reader()) as reader:
            [tp] = [tp for tp, end in reader.ends(all_of(reader, topic)).items() if end]
            reader.assign({tp: 0})
            assert len(values(read(reader, 10))) == 10
            reader.assign({tp: 5})
            assert values(read(reader, 5)) == [b"5", b"6", b"7", b"8", b"9"]

    def test_a_partition_is_added_while_others_are_read(self, door: Door, topic: str) -> None:
        append(door, topic, [(b"%d" % number, b"%d" % number) for number in range(40)])
        with closing(door.reader()) as reader:
            tps = all_of(reader, topic)
            ends = reader.ends(tps)
            reader.assign({tps[0]: 0})
            first = read(reader, ends[tps[0]])
            reader.assign({tps[0]: ends[tps[0]], **dict.fromkeys(tps[1:], 0)})
            second = read(reader, 40 - len(values(first)))
        assert sorted(values(first) + values(second), key=repr) == sorted((b"%d" % n for n in range(40)), key=repr)

    def test_a_partition_given_up_before_its_end_is_not_read_on(self, door: Door, topic: str) -> None:
        append(door, topic, [(f"k{number}".encode(), b"x") for number in range(100)])
        with closing(door.reader()) as reader:
            starts = reader.beginnings(all_of(reader, topic))
            first, *others = sorted(starts)
            reader.assign({first: starts[first]})
            read(reader, 1, records_max=1)
            reader.assign({tp: starts[tp] for tp in others})
            left = sum(reader.ends(others).values())
            found = read(reader, left, records_max=1)
        assert found.keys() <= set(others)
        assert sum(map(len, found.values())) == left

    def test_what_is_taken_is_never_more_than_asked_for(self, door: Door, topic: str) -> None:
        append(door, topic, [(b"%d" % number, b"%d" % number) for number in range(1000)])
        with closing(door.reader()) as reader:
            reader.assign(reader.beginnings(all_of(reader, topic)))
            taken = 0
            deadline = time.monotonic() + SECONDS_MAX
            while taken < 1000 and time.monotonic() < deadline:
                count = sum(len(fetched.records) for fetched in reader.poll(7))
                assert count <= 7
                taken += count
                reader.wait(0.0 if count else 0.05)
            assert taken == 1000

    def test_all_partitions_get_their_turn(self, door: Door, topic: str) -> None:
        append(door, topic, [(b"%d" % (number % 40), b"%d" % number) for number in range(20_000)])
        with closing(door.reader()) as reader:
            tps = all_of(reader, topic)
            reader.assign(reader.beginnings(tps))
            seen: set[int] = set()
            taken = 0
            for fetched in polls(reader, records_max=500):
                taken += len(fetched.records)
                seen |= {fetched.partition} if fetched.records else set()
                if len(seen) == len(tps) or taken >= 15_000:
                    break
            assert len(seen) == len(tps), "one partition's backlog does not hold up the others"

    def test_many_partitions_are_read_at_once(self, door: Door, wide: str) -> None:
        append(door, wide, [(b"%d" % number, b"%d" % number) for number in range(400)])
        found = read_from_the_beginning(door, wide, 400)
        assert len(found) > 12
        assert sorted(int(value or b"") for value in values(found)) == list(range(400))

    def test_looking_never_blocks(self, door: Door, topic: str) -> None:
        with closing(door.reader()) as reader:
            reader.assign(reader.beginnings(all_of(reader, topic)))
            took = []
            for _ in range(100):
                began = time.monotonic()
                reader.poll(100)
                took.append(time.monotonic() - began)
            assert sorted(took)[50] < 0.005

    def test_a_partition_at_its_end_is_reported_again_and_again(self, door: Door, topic: str) -> None:
        with closing(door.reader()) as reader:
            reader.assign(reader.beginnings(all_of(reader, topic)))
            heard: dict[int, list[float]] = {partition: [] for partition in range(4)}
            for fetched in polls(reader):
                assert fetched.start == fetched.end
                assert fetched.idle_at is not None
                heard[fetched.partition].append(fetched.idle_at)
                if all(len(each) >= IDLE_REPORTS for each in heard.values()):
                    break
            for each in heard.values():
                assert len(each) >= IDLE_REPORTS
                assert each == sorted(each)
                assert abs(time.time() - each[-1]) < 5

    def test_a_report_of_nothing_is_true(self, door: Door, topic: str) -> None:
        """What was acknowledged before `idle_at` was given out before that report, never after."""
        hears, tells = _spawn.Pipe()
        idle_before: dict[bytes | None, float] = {}
        idle: dict[int, float] = {}
        with closing(door.reader()) as reader:
            reader.assign(reader.beginnings(all_of(reader, topic)))
            with process(append_slowly, door, topic, tells, 60):
                for fetched in polls(reader):
                    for record in fetched.records:
                        idle_before[record.value] = idle.get(fetched.partition, 0.0)
                    if fetched.idle_at is not None:
                        idle[fetched.partition] = fetched.idle_at
                    if len(idle_before) == 60:
                        break
                acknowledged_at = dict(hears.recv() for _ in range(60))
        assert set(idle_before) == set(acknowledged_at)
        assert [value for value, at in acknowledged_at.items() if at < idle_before[value]] == []

    def test_a_place_that_is_not_there_yet_is_a_named_error(self, door: Door, topic: str) -> None:
        def go_there(reader: Reader) -> None:
            reader.assign({TopicPartition(topic, 0): 1000})
            next((fetched for fetched in polls(reader) if fetched.records), None)

        with closing(door.reader()) as reader, pytest.raises(LogError, match="1000") as raised:
            go_there(reader)
        assert topic in str(raised.value)

    def test_a_topic_that_is_not_there_has_no_partitions(self, door: Door, topic: str) -> None:
        with closing(door.reader()) as reader:
            assert list(reader.partitions(topic)) == [0, 1, 2, 3]
            assert list(reader.partitions(f"{topic}-not")) == []

    def test_making_a_topic_twice_leaves_it_as_it_is(self, door: Door, topic: str) -> None:
        append(door, topic, [(b"a", b"v")])
        door.create(topic, 4)
        assert values(read_from_the_beginning(door, topic, 1)) == [b"v"]

    def test_beginnings_and_ends_are_told(self, door: Door, topic: str) -> None:
        with closing(door.reader()) as reader:
            tps = all_of(reader, topic)
            assert reader.beginnings(tps) == reader.ends(tps) == dict.fromkeys(tps, 0)
            append(door, topic, [(b"a", b"v")] * 5)
            assert sorted(reader.ends(tps).values()) == [0, 0, 0, 5]
            assert reader.beginnings(tps) == dict.fromkeys(tps, 0)

    def test_a_place_is_found_by_time(self, door: Door, topic: str) -> None:
        append(door, topic, [(b"a", b"early")])
        with closing(door.reader()) as reader:
            [tp] = [tp for tp, end in reader.ends(all_of(reader, topic)).items() if end]
            reader.assign({tp: 0})
            [[early]] = read(reader, 1).values()
            assert eventually(lambda: time.time() * 1000 > early.timestamp_ms + 1)
            append(door, topic, [(b"a", b"late")])
            assert reader.at_time([tp], 0) == {tp: 0}
            assert reader.at_time([tp], early.timestamp_ms) == {tp: 0}
            assert reader.at_time([tp], early.timestamp_ms + 1) == {tp: 1}
            assert reader.at_time([tp], early.timestamp_ms + 3_600_000) == {tp: 2}

    def test_what_a_group_committed_is_its_own(self, door: Door, topic: str) -> None:
        append(door, topic, [(b"%d" % number, b"v") for number in range(40)])
        group = f"g-{uuid.uuid4().hex[:8]}"
        with closing(door.reader(group)) as reader, closing(door.reader(f"{group}-other")) as other:
            tps = all_of(reader, topic)
            assert reader.committed(tps) == {}
            reader.assign(reader.beginnings(tps))
            reader.commit({tps[0]: 1, tps[1]: 2})
            reader.commit({tps[0]: 3})
            with closing(door.reader(group)) as later:
                assert eventually(lambda: later.committed(tps) == {tps[0]: 3, tps[1]: 2})
            assert other.committed(tps) == {}

    def test_the_age_of_the_last_fetch_stays_small(self, door: Door, topic: str) -> None:
        with closing(door.reader()) as reader:
            reader.assign(reader.beginnings(all_of(reader, topic)))
            next(fetched for fetched in polls(reader) if fetched.idle_at)
            assert 0 <= reader.last_fetch_age_seconds() < 5

    def test_the_descriptor_is_readable_when_there_is_news(self, door: Door, topic: str) -> None:
        with closing(door.reader()) as reader:
            reader.assign(reader.beginnings(all_of(reader, topic)))
            next(fetched for fetched in polls(reader) if fetched.idle_at)
            append(door, topic, [(b"a", b"v")])
            assert eventually(lambda: self._is_readable(reader) and bool(self._records(reader)))

    def test_many_processes_append_at_once(self, door: Door, topic: str) -> None:
        names, count = ["one", "two", "three"], 400
        with (
            process(append_numbered, door, topic, names[0], count),
            process(append_numbered, door, topic, names[1], count),
            process(append_numbered, door, topic, names[2], count),
            closing(door.reader()) as reader,
        ):
            reader.assign(reader.beginnings(all_of(reader, topic)))
            live = read(reader, len(names) * count)
        again = read_from_the_beginning(door, topic, len(names) * count)
        assert live == again, "all readers see one order"
        for records in live.values():
            offsets = [record.offset for record in records]
            assert offsets == sorted(set(offsets))
            for key in {record.key for record in records}:
                for name in names:
                    mine = [r.value.split() for r in records if r.key == key and r.value]
                    numbers = [int(number) for who, number in mine if who == name.encode()]
                    assert numbers == sorted(set(numbers))
        assert len(set(values(live))) == len(names) * count

    def test_a_reader_in_another_process_is_woken(self, door: Door, topic: str) -> None:
        hears, tells = _spawn.Pipe()
        with process(tell_what_comes, door, topic, tells, 5), closing(door.writer()) as writer:
            assert hears.recv() == "ready"
            for number in range(5):
                sent_at = time.monotonic()
                assert writer.send(topic, b"a", b"%d" % number)
                assert hears.poll(SECONDS_MAX)
                value, at = hears.recv()
                assert value == b"%d" % number
                assert at - sent_at < 5

    @staticmethod
    def _is_readable(reader: Reader) -> bool:
        return bool(select.select([reader.fileno()], [], [], 1.0)[0])

    @staticmethod
    def _records(reader: Reader) -> list[Record]:
        return [record for fetched in reader.poll(100) for record in fetched.records]
