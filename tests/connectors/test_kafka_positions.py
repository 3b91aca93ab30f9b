"""Positions in a log with holes: what transactions, compaction and retention leave is passed or told, never lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from kafka import TopicPartition as KafkaPartition  # type: ignore[import-untyped]

from connectors.kafka import KafkaReader
from state.records import Fetched, LogError, Record, TopicPartition
from tests.brokers import Broker
from tests.connectors.contract import all_of, append, eventually, polls, read, values
from tests.connectors.kafkas import CLIENTS, KafkaDoor, Transactions, asking, new_topic

MIB = 1 << 20


@pytest.fixture(params=CLIENTS)
def door(kafka: Broker, request: pytest.FixtureRequest) -> KafkaDoor:
    return KafkaDoor(kafka.servers, request.param)


def read_until_idle(reader: KafkaReader, tp: TopicPartition) -> tuple[int, list[Record]]:
    """Where the partition is at its end, and what was on the way; no offset is left out of the ranges."""
    records: list[Record] = []
    at: int | None = None
    for fetched in _of(tp, polls(reader)):
        assert at in (None, fetched.start), "a range begins where the one before ended"
        at = fetched.end
        records += fetched.records
        if fetched.idle_at is not None:
            return at, records
    raise AssertionError("never at the end")


def _of(tp: TopicPartition, reports: Iterator[Fetched]) -> Iterator[Fetched]:
    return (fetched for fetched in reports if (fetched.topic, fetched.partition) == tp)


def delete_before(door: KafkaDoor, tp: TopicPartition, offset: int) -> None:
    with asking(door.servers) as client:
        client.delete_records({KafkaPartition(*tp): offset})


def raises_when_read(reader: KafkaReader, taken: list[Record] | None = None) -> LogError:
    def take() -> None:
        for fetched in polls(reader):
            if taken is not None:
                taken.extend(fetched.records)

    with pytest.raises(LogError) as raised:
        take()
    return raised.value


# -- transactions


def test_markers_and_aborted_orders_are_passed_and_only_committed_ones_given(door: KafkaDoor) -> None:
    tp = TopicPartition(new_topic(door.servers), 0)
    shop = Transactions(door.servers)
    for values_, ends_well in (([b"0", b"1", b"2"], True), ([b"no", b"not"], False), ([b"7"], True), ([b"no"], False)):
        shop.begin(tp.topic, values_)
        shop.commit() if ends_well else shop.abort()
    with closing(door.reader()) as reader:
        reader.assign({tp: 0})
        end, records = read_until_idle(reader, tp)
    assert [(record.offset, record.value) for record in records] == [(0, b"0"), (1, b"1"), (2, b"2"), (7, b"7")]
    assert end == 11, "four markers, and the aborted records, belong to the ranges"


def test_a_start_among_markers_goes_on_behind_them(door: KafkaDoor) -> None:
    tp = TopicPartition(new_topic(door.servers), 0)
    shop = Transactions(door.servers)
    shop.begin(tp.topic, [b"not", b"not"])
    shop.abort()
    with closing(door.reader()) as reader:
        reader.assign({tp: 1})
        assert read_until_idle(reader, tp) == (3, [])
        append(door, tp.topic, [(b"k", b"after")])
        assert values(read(reader, 1)) == [b"after"]


def test_behind_an_open_transaction_nothing_is_given_and_nothing_is_idle(door: KafkaDoor) -> None:
    """An order that was acknowledged may stand behind it: to call the partition idle would send a reminder for it."""
    topic = new_topic(door.servers, 2)
    open_, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    shop = Transactions(door.servers)
    with closing(door.reader()) as reader:
        reader.assign({open_: 0, other: 0})
        next(_of(open_, polls(reader)))
        shop.begin(topic, [b"held"])
        assert reader.ends([open_]) == {open_: 1}
        told = []
        for fetched in polls(reader):
            told.append(fetched)
            # What was found before it began may still be told; what counts is what is found after.
            if len([each for each in told if each.partition == 1]) > 8:
                break
        late = [each for each in told[6:] if each.partition == 0]
        assert late == []
        shop.commit()
        assert values(read(reader, 1)) == [b"held"]
        assert read_until_idle(reader, open_)[0] == 2


# -- holes made by the log itself


def test_what_a_compaction_took_away_leaves_no_hole_in_the_ranges(door: KafkaDoor) -> None:
    topic = new_topic(
        door.servers,
        cleanup_policy="compact",
        segment_ms=100,
        min_cleanable_dirty_ratio=0.01,
        max_compaction_lag_ms=100,
    )
    tp = TopicPartition(topic, 0)
    append(door, topic, [(b"%d" % (number % 3), b"%d" % number) for number in range(300)])

    def is_compacted() -> bool:
        append(door, topic, [(b"other", b"rolls the segment")])
        with closing(door.reader()) as reader:
            reader.assign({tp: 0})
            end, records = read_until_idle(reader, tp)
            assert end == reader.ends([tp])[tp]
            mine = [record.value for record in records if record.key != b"other"]
            assert mine[-3:] == [b"297", b"298", b"299"]
            return len(mine) == 3 and records[0].offset > 0

    assert eventually(is_compacted)


def test_a_position_that_was_deleted_is_an_error_with_the_choices(door: KafkaDoor) -> None:
    tp = TopicPartition(new_topic(door.servers), 0)
    append(door, tp.topic, [(b"k", b"%d" % number) for number in range(100)])
    delete_before(door, tp, 60)
    with closing(door.reader()) as reader:
        assert reader.beginnings([tp]) == {tp: 60}
        with pytest.raises(LogError) as raised:
            reader.assign({tp: 10})
        for expected in (tp.topic, "offset 10", "is 60", "50 records were deleted unread", "start.at", "backup"):
            assert expected in str(raised.value)
        reader.assign({tp: 60})
        assert len(values(read(reader, 40))) == 40


def test_a_reader_left_behind_holds_little_and_says_what_it_missed(door: KafkaDoor) -> None:
    """Nobody takes anything: fetching stops at its bounds. What expires before it is fetched is an error, not a gap."""
    tp = TopicPartition(new_topic(door.servers), 0)
    append(door, tp.topic, [(b"k", b"x" * (MIB // 2)) for _ in range(160)])
    with closing(door.reader()) as reader:
        reader.assign({tp: 0})
        assert eventually(reader.is_full)
        delete_before(door, tp, 159)
        taken: list[Record] = []
        assert "deleted unread" in str(raises_when_read(reader, taken))
        assert 60 <= len(taken) < 140, "what was fetched is given out before the error"


def test_a_topic_made_anew_is_an_error_at_the_start_and_while_reading(door: KafkaDoor) -> None:
    topic = new_topic(door.servers)
    tp = TopicPartition(topic, 0)
    append(door, topic, [(b"k", b"%d" % number) for number in range(10)])
    with closing(door.reader()) as reader:
        reader.assign({tp: 0})
        assert read_until_idle(reader, tp)[0] == 10
        with asking(door.servers) as client:
            client.delete_topics([topic])
            assert eventually(lambda: list(door.reader().partitions(topic)) == [])
        door.create(topic, 1)
        assert "made anew" in str(raises_when_read(reader))
    with closing(door.reader()) as reader, pytest.raises(LogError, match="made anew"):
        reader.assign({tp: 10})


def test_a_partition_that_is_not_there_is_an_error(door: KafkaDoor) -> None:
    topic = new_topic(door.servers, 2)
    with closing(door.reader()) as reader:
        with pytest.raises(LogError, match="2 partitions, and 7 is none of them"):
            reader.assign({TopicPartition(topic, 7): 0})
        with pytest.raises(LogError, match="no topic"):
            reader.assign({TopicPartition(f"{topic}-not", 0): 0})


# -- times and sizes


def test_a_time_inside_an_open_transaction_is_found(door: KafkaDoor) -> None:
    tp = TopicPartition(new_topic(door.servers), 0)
    append(door, tp.topic, [(b"k", b"before")])
    shop = Transactions(door.servers)
    with closing(door.reader()) as reader:
        reader.assign({tp: 0})
        [[before]] = read(reader, 1).values()
        shop.begin(tp.topic, [b"inside"])
        assert reader.at_time([tp], before.timestamp_ms + 1) == {tp: 1}
        shop.commit()


def test_a_record_larger_than_a_fetch_is_read_like_any_other(door: KafkaDoor) -> None:
    topic = new_topic(door.servers, max_message_bytes=24 * MIB)
    append(door, topic, [(b"k", b"before"), (b"k", b"x" * (20 * MIB)), (b"k", b"after")])
    with closing(door.reader()) as reader:
        reader.assign(reader.beginnings(all_of(reader, topic)))
        assert [len(value or b"") for value in values(read(reader, 3))] == [6, 20 * MIB, 5]
