"""A backlog is read on the replay clock as it happened: the catalogue's words between what customers did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from connectors.log import LogReader, LogWriter, create_topics
from operators import in_time
from operators.in_time import SILENT_SECONDS, InTime
from state.decode import peek_time
from state.instants import format_instant, parse_instant
from state.records import Fetched, TopicPartition, TopicSpec

START = parse_instant("2026-01-05T12:00:00Z")
MINUTE = 60_000
TOPICS = ("catalogue", "clickstream", "orders")
PLACES = [TopicPartition(topic, n) for topic in TOPICS for n in range(2)]
Seen = tuple[str, int]  # topic, minute


class Shelf:
    """A log, its reader and a wall clock (seconds).  `ranges` are those that what was given stands for."""

    def __init__(self, root: Path) -> None:
        create_topics(root, [TopicSpec(topic, 2, 7) for topic in (*TOPICS, "deliveries")])
        self.root, self.wall = root, START / 1000 + 86_400
        self.inner = LogReader(root, wall=lambda: self.wall)
        self.reader = InTime(self.inner, lambda: self.wall)
        self.positions = dict.fromkeys([*PLACES, TopicPartition("deliveries", 0)], 0)
        self.reader.assign(self.positions)
        self.idle: dict[TopicPartition, float | None] = {}

    def append(self, *seen: Seen) -> None:
        with closing(LogWriter(self.root)) as writer:
            for topic, minute in seen:
                body = {"type": "track", "event": "Seen", "timestamp": format_instant(START + minute * MINUTE)}
                assert writer.send(topic, f"k{minute % 7}".encode(), json.dumps(body).encode())
            assert writer.flush(10)

    def poll(self, records_max: int = 8_000) -> list[Seen]:
        self.wall += 0.2
        return [each for fetched in self.reader.poll(records_max) for each in self._given(fetched)]

    def read(self, records_max: int = 8_000, polls: int = 60) -> list[Seen]:
        return [each for _ in range(polls) for each in self.poll(records_max)]

    def _given(self, fetched: Fetched) -> Iterator[Seen]:
        tp = TopicPartition(fetched.topic, fetched.partition)
        assert fetched.start == self.positions[tp]
        self.positions[tp], self.idle[tp] = fetched.end, fetched.idle_at
        for record in fetched.records:
            yield fetched.topic, ((peek_time(record.value) or 0) - START) // MINUTE


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path)
    with closing(shelf.inner):
        yield shelf


def stand_in_time(given: list[Seen]) -> None:
    """The catalogue's words in the order of time, each after all that was earlier and before all else."""
    words = [(place, minute) for place, (topic, minute) in enumerate(given) if topic == "catalogue"]
    assert words
    assert [minute for _, minute in words] == sorted(minute for _, minute in words)
    for place, minute in words:
        assert all(at < minute for topic, at in given[:place] if topic != "catalogue")
        assert all(at >= minute for topic, at in given[place:])


@pytest.mark.parametrize("records_max", [3, 50, 8_000])
def test_words_of_the_catalogue_come_where_they_were_said(shelf: Shelf, records_max: int) -> None:
    chance = Random(records_max)
    wanted = [(chance.choice(["catalogue", "clickstream", "clickstream", "orders"]), n // 2) for n in range(400)]
    shelf.append(*wanted)
    given = shelf.read(records_max, polls=700)
    assert sorted(given) == sorted(wanted)
    stand_in_time(given)


def test_what_has_to_wait_is_said_to_be_there(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the clock would pass it: a partition at its end does not bound it."""
    monkeypatch.setattr(in_time, "WORDS_A_POLL", 2)
    shelf.read(polls=2)
    shelf.append(*(("catalogue", minute) for minute in range(0, 20, 2)), ("clickstream", 19))
    assert shelf.poll() == [("catalogue", 0), ("catalogue", 2)]
    waiting = {tp.topic for tp, idle_at in shelf.idle.items() if idle_at is None}
    assert waiting == {"catalogue", "clickstream"}
    assert shelf.read()[-2:] == [("catalogue", 18), ("clickstream", 19)]
    assert all(idle_at is not None for idle_at in shelf.idle.values())


def test_without_a_word_of_the_catalogue_nothing_waits(shelf: Shelf) -> None:
    shelf.read(polls=2)
    shelf.append(("clickstream", 5), ("orders", 4))
    assert sorted(shelf.poll()) == [("clickstream", 5), ("orders", 4)]


def test_what_is_kept_is_bounded(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_time, "KEPT_MAX", 10)
    shelf.append(*(("clickstream", minute) for minute in range(200)))
    shelf.append(*(("catalogue", minute) for minute in range(0, 200, 3)))
    given = shelf.read(30, polls=200)
    assert len(given) == 267
    stand_in_time(given)


def test_a_partition_that_nobody_can_read_does_not_hold_up_the_others(shelf: Shelf) -> None:
    shelf.append(("clickstream", 5), ("catalogue", 4))
    poll = shelf.inner.poll
    silent = TopicPartition("orders", 0)

    def without_one(records_max: int) -> list[Fetched]:
        return [each for each in poll(records_max) if TopicPartition(each.topic, each.partition) != silent]

    shelf.inner.poll = without_one  # type: ignore[method-assign]
    assert shelf.poll() == []
    shelf.wall += SILENT_SECONDS
    assert shelf.read(polls=3) == [("catalogue", 4), ("clickstream", 5)]


def test_what_is_read_elsewhere_from_then_on_goes_on_where_it_was(shelf: Shelf) -> None:
    """Where the shards hold back as much as they may, some partitions are left out for a while."""
    shelf.append(*(("clickstream", minute) for minute in range(50)), *(("orders", minute) for minute in range(50)))
    shelf.append(*(("catalogue", minute) for minute in range(0, 50, 5)))
    given = shelf.read(10, polls=4)
    left_out = TopicPartition("orders", 0)
    shelf.reader.assign({tp: at for tp, at in shelf.positions.items() if tp != left_out})
    given += shelf.read(10, polls=2)
    shelf.reader.assign(shelf.positions)
    given += shelf.read(10, polls=60)
    assert sorted(given) == sorted({*given})
    assert len(given) == 110
