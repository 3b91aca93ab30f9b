"""What a worker's source tells the shards, over a real log."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from connectors.log import LogReader, LogWriter, create_topics
from operators import held
from operators.clock import ShardClock
from operators.drip import WORDS_A_POLL
from operators.frontier import Frontier
from operators.held import Held
from operators.inputs import Progress, SubBatch
from operators.pressure import Pressure
from operators.sources import LogSource, Router
from state.ids import Ids
from state.instants import format_instant, parse_instant
from state.records import Record, TopicPartition, TopicSpec
from state.store import ShardStore
from tests.state.stores import opened

START = parse_instant("2026-01-05T12:00:00Z")
HOUR = 3_600_000
SHARDS = 4
TOPICS = ("clickstream", "orders", "deliveries", "catalogue")


@dataclass
class Bench:
    """A source, its log and its wall clock (seconds)."""

    root: Path
    wall: float = START / 1000 + 86_400
    pressure: Pressure | None = None

    def append(self, topic: str, customer: str, *times: int) -> None:
        writer = LogWriter(self.root)
        for at in times:
            body = {"type": "track", "event": "Seen", "userId": customer, "timestamp": format_instant(at)}
            assert writer.send(topic, customer.encode(), json.dumps(body).encode())
        assert writer.flush(10)
        writer.close()

    def source(
        self, reader: LogReader, stalled_after: float | None = None, counts: Mapping[str, int] | None = None
    ) -> LogSource:
        start = {TopicPartition(topic, 0): 0 for topic in TOPICS}
        return LogSource(
            reader,
            Router(Ids(b"secret"), SHARDS),
            SHARDS,
            0,
            start,
            {},
            reader.ends(list(start)),
            lambda: self.wall,
            "live",
            pressure=self.pressure or Pressure(),
            stalled_after=stalled_after,
            counts=counts,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    create_topics(tmp_path, [TopicSpec(topic, 1, 7) for topic in TOPICS])
    return Bench(tmp_path)


@pytest.fixture
def reader(bench: Bench) -> Iterator[LogReader]:
    reader = LogReader(bench.root, wall=lambda: bench.wall)
    yield reader
    reader.close()


def test_every_shard_is_told_of_every_offset_exactly_once(bench: Bench, reader: LogReader) -> None:
    for number in range(50):
        bench.append("clickstream", f"c{number}", START + number)
    source = bench.source(reader)
    ranges: dict[int, list[tuple[int, int]]] = {shard: [] for shard in range(SHARDS)}
    seen = set()
    for _ in range(12):
        bench.wall += 0.11
        for shard, each in source.poll():
            if isinstance(each, SubBatch):
                ranges[shard].append((each.start, each.end))
                seen |= {record.offset for record in each.records}
            elif isinstance(each, Progress):
                ranges[shard] += [(start, end) for topic, _, start, end, _ in each.ranges if topic == "clickstream"]
    assert seen == set(range(50))
    for mine in ranges.values():
        assert mine[0][0] == 0
        assert mine[-1][1] == 50
        assert all(before[1] == after[0] for before, after in pairwise(mine))


def test_a_source_that_is_to_stop_tells_every_shard_how_far_it_has_read(bench: Bench, reader: LogReader) -> None:
    source = bench.source(reader)
    source.poll()  # tells of all ranges, which it does not do again at once
    bench.append("clickstream", "c1", START, START + 1)
    bench.wall += 0.11
    told: dict[int, int] = {}
    for shard, each in [*source.poll(), *source.last()]:
        assert isinstance(each, SubBatch | Progress)
        ranges = [(each.topic, each.end)] if isinstance(each, SubBatch) else [(r[0], r[3]) for r in each.ranges]
        told.update((shard, end) for topic, end in ranges if topic == "clickstream")
    assert told == dict.fromkeys(range(SHARDS), 2)


def clock_of(source: LogSource, bench: Bench, rounds: int = 3) -> ShardClock:
    clock = ShardClock(1, live=True)
    for _ in range(rounds):
        bench.wall += 0.11
        for _, each in source.poll():
            if isinstance(each, Progress):
                clock.take(each.report)
    return clock


def test_the_clock_follows_the_wall_where_all_is_read(bench: Bench, reader: LogReader) -> None:
    bench.append("orders", "anna", START)
    clock = clock_of(bench.source(reader), bench)
    assert clock.now is not None
    assert bench.wall * 1000 - 250 <= clock.now <= bench.wall * 1000


def test_results_count_as_read_once_they_are_read_to_where_they_ended_at_the_start(
    bench: Bench, reader: LogReader
) -> None:
    bench.append("deliveries", "anna", START)
    source = bench.source(reader)
    assert not ShardClock(1, live=True).settled
    assert clock_of(source, bench).settled


def silent(bench: Bench, reader: LogReader, stalled_after: float | None) -> LogSource:
    """A source of which one partition has not been heard of for an hour."""
    source = bench.source(reader, stalled_after)
    clock_of(source, bench)
    rest = {tp: offset for tp, offset in source.positions().items() if tp.topic != "orders"}
    reader.assign(rest)
    bench.wall += 3600
    return source


def test_a_partition_that_nobody_can_read_stops_the_clock(bench: Bench, reader: LogReader) -> None:
    source = silent(bench, reader, None)
    clock = clock_of(source, bench)
    assert clock.now is not None
    assert clock.now < (bench.wall - 3600) * 1000
    assert not clock.stalled


def test_after_the_time_set_for_it_the_clock_goes_on_without_that_partition(bench: Bench, reader: LogReader) -> None:
    source = silent(bench, reader, 600.0)
    clock = clock_of(source, bench)
    assert source.stalled() == [TopicPartition("orders", 0)]
    assert clock.stalled
    assert clock.now is not None
    assert clock.now > (bench.wall - 1) * 1000


class Shown:
    """A log whose partitions were last looked at when somebody says so."""

    def __init__(self, reader: LogReader, count: int, looked_at: float) -> None:
        self._reader, self.count, self.at = reader, count, looked_at

    def partitions(self, topic: str) -> Sequence[int]:
        return range(self.count)

    def looked_at(self, topic: str) -> float:
        return self.at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


def test_the_clock_waits_until_somebody_has_seen_that_no_partition_was_added(bench: Bench, reader: LogReader) -> None:
    shown = Shown(reader, count=1, looked_at=bench.wall)
    source = bench.source(cast("LogReader", shown), counts={"clickstream": 1})
    clock, looked_at = clock_of(source, bench), shown.at
    assert clock.now == int(looked_at * 1000), "read on, but not looked at again"
    shown.at = bench.wall
    clock = clock_of(source, bench)
    assert clock.now == int(shown.at * 1000)
    looked_at, shown.count, shown.at = shown.at, 2, bench.wall
    clock = clock_of(source, bench)
    assert clock.now == int(looked_at * 1000), "the new one may hold what undoes a wait"


def test_what_was_appended_before_the_last_look_is_followed_as_it_is_read(bench: Bench, reader: LogReader) -> None:
    tp = TopicPartition("clickstream", 0)
    shown = Shown(reader, count=1, looked_at=100.0)
    frontier = Frontier(cast("LogReader", shown), {"clickstream": 1}, {tp: 0})
    frontier.look(100.0, {tp: 0})
    frontier.read(tp, [Record(0, None, None, 99_000)], START)
    assert frontier.known(tp) == START
    frontier.read(tp, [Record(1, None, None, 101_000)], START + 1)
    assert frontier.known(tp) == START, "a partition added since may hold what came before it"
    frontier.look(101.0, {tp: START})
    frontier.read(tp, [Record(2, None, None, 99_500)], START + 2)
    shown.at = 101.0
    frontier.look(102.0, {tp: START + 2})
    assert frontier.known(tp) == START + 2, "an older word of how far all was read takes nothing back"


def test_at_the_bound_of_what_is_held_the_partitions_ahead_of_the_clock_pause_and_then_go_on(
    tmp_path: Path, bench: Bench, reader: LogReader
) -> None:
    with opened(tmp_path / "store") as store:
        bench.pressure = Pressure()
        full, clock = held_to_the_bound(store), ShardClock(1, live=True)
        bench.pressure.add(full, clock)
        bench.append("clickstream", "anna", START + HOUR)
        source = bench.source(reader)
        source.poll()
        clock.jump(START)  # another process reads a partition that is still there
        bench.wall += 0.11
        source.poll()
        assert source.paused() == 1
        bench.append("clickstream", "anna", START + 2 * HOUR)
        bench.wall += 0.11
        assert not [each for _, each in source.poll() if isinstance(each, SubBatch)], "nothing is read ahead"
        full.count = 0  # the slow ones caught up, and what was held is applied
        bench.wall += 0.11
        source.poll()
        assert source.paused() == 0
        bench.wall += 0.11
        [batch] = [each for _, each in source.poll() if isinstance(each, SubBatch)]
        assert (batch.start, batch.end) == (1, 2), "nothing was dropped"


def held_to_the_bound(store: ShardStore) -> Held:
    kept = Held(store)
    kept.count = held.HELD_MAX
    return kept


def test_a_whole_catalogue_told_at_once_comes_in_drops_and_all_of_it_to_every_shard(
    bench: Bench, reader: LogReader
) -> None:
    writer = LogWriter(bench.root)
    for number in range(500):
        word = {"type": "track", "event": "Product Changed", "messageId": f"w{number}"}
        body = {**word, "timestamp": format_instant(START + number), "properties": {"product_id": f"p{number}"}}
        assert writer.send("catalogue", None, json.dumps(body).encode())
    assert writer.flush(10)
    writer.close()
    bench.append("clickstream", "anna", START)
    source = bench.source(reader)
    heard: dict[int, list[int]] = {shard: [] for shard in range(SHARDS)}
    polls_with_words = 0
    for _ in range(2_000):
        told = source.poll()
        words = [(shard, each) for shard, each in told if isinstance(each, SubBatch) and each.topic == "catalogue"]
        polls_with_words += bool(words)
        for shard, each in words:
            assert len(each.records) <= WORDS_A_POLL
            assert each.start == (heard[shard][-1] + 1 if heard[shard] else 0)
            heard[shard] += [record.offset for record in each.records]
        if all(len(each) == 500 for each in heard.values()):
            break
        bench.wall += 0.001
    assert all(each == list(range(500)) for each in heard.values())
    assert polls_with_words >= 500 // WORDS_A_POLL
    bench.wall += 1
    assert any(isinstance(each, Progress) and each.report.busy is None for _, each in source.poll() + source.poll())
