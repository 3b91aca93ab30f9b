"""How the embedded log lies in segments: rolling, finding a place, and what is kept."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from connectors.log import LogReader, apply_retention, create_topics
from connectors.log.appender import SEGMENT_AGE_MS_MAX
from connectors.log.cursor import Cursor
from connectors.log.ending import end_of, first_at
from connectors.log.folders import commit_file, partitions, segments
from state.records import LogError, TopicPartition, TopicSpec
from tests.connectors.logs import TP, OnePartition

DAY = 86_400.0
VIEWS = [b"view %d" % number for number in range(60)]


def views(root: Path) -> OnePartition:
    partition = OnePartition.made(root)
    partition.append(VIEWS)
    return partition


def grow_old(partition: OnePartition, days: float, count: int | None = None) -> None:
    then = time.time() - days * DAY
    for file in partition.files()[:count]:
        os.utime(file, (then, then))


def test_a_reader_goes_over_from_segment_to_segment(tmp_path: Path) -> None:
    partition = views(tmp_path)
    for since in range(len(VIEWS) + 1):
        assert partition.values(since) == VIEWS[since:]


def test_a_reader_at_the_end_follows_when_a_segment_is_rolled(tmp_path: Path) -> None:
    partition = OnePartition.made(tmp_path)
    with closing(Cursor(tmp_path, TP, 0)) as cursor:
        for view in VIEWS:
            assert cursor.read(10) == []
            partition.append([view])
            assert [record.value for record in cursor.read(10)] == [view]
    assert len(partition.files()) > 3


def test_a_frame_is_given_out_in_pieces(tmp_path: Path) -> None:
    partition = OnePartition.made(tmp_path)
    with partition.appender() as appender:
        appender.append(1, [(None, view) for view in VIEWS])
    with closing(Cursor(tmp_path, TP, 0)) as cursor:
        assert [len(cursor.read(7)) for _ in range(10)] == [7] * 8 + [4, 0]
    assert partition.values(33) == VIEWS[33:]


def test_a_frame_larger_than_one_look_is_read(tmp_path: Path) -> None:
    partition = OnePartition.made(tmp_path, segment_bytes_max=64 << 20)
    large = [b"x" * 900_000, b"y" * 900_000]
    with partition.appender() as appender:
        appender.append(1, [(None, value) for value in large])
        appender.append(1, [(None, b"small")])
    assert partition.values() == [*large, b"small"]
    partition.forget_the_head()
    assert end_of(partition.folder) == 3


def test_segments_begin_anew_each_day_so_that_slow_topics_do_not_keep_old_records(tmp_path: Path) -> None:
    partition = OnePartition.made(tmp_path, segment_bytes_max=1 << 20)
    partition.append([b"monday"], at=1_000)
    partition.append([b"monday, too"], at=1_000 + SEGMENT_AGE_MS_MAX - 1)
    partition.append([b"tuesday"], at=1_000 + SEGMENT_AGE_MS_MAX)
    assert segments(partition.folder) == [0, 2]


def test_old_segments_are_deleted_and_young_ones_kept(tmp_path: Path) -> None:
    partition = views(tmp_path)
    grow_old(partition, days=8, count=2)
    second = segments(partition.folder)[2]
    assert apply_retention(tmp_path, time.time()) == 2
    assert segments(partition.folder)[0] == second
    with closing(LogReader(tmp_path)) as reader:
        assert reader.beginnings([TP]) == {TP: second}
        assert reader.ends([TP]) == {TP: len(VIEWS)}
    assert partition.values(second) == VIEWS[second:]


def test_what_somebody_has_yet_to_read_may_be_as_old_as_it_likes(tmp_path: Path) -> None:
    partition = views(tmp_path)
    grow_old(partition, days=8)
    third = segments(partition.folder)[2]
    assert apply_retention(tmp_path, time.time(), {TP: 0}) == 0
    assert apply_retention(tmp_path, time.time(), {TP: third - 1}) == 1, "of the second one record is unread"
    assert apply_retention(tmp_path, time.time(), {TP: third}) == 1
    assert partition.values(third) == VIEWS[third:]
    create_topics(tmp_path, [TopicSpec(TP.topic, 1, 7, 1)])
    assert apply_retention(tmp_path, time.time(), {TP: 0}) > 1, "too much is too much"
    assert len(partition.files()) == 1


def test_a_topic_that_went_quiet_is_emptied_and_goes_on_where_it_was(tmp_path: Path) -> None:
    partition = views(tmp_path)
    with closing(Cursor(tmp_path, TP, len(VIEWS))) as cursor:
        grow_old(partition, days=8)
        assert apply_retention(tmp_path, time.time()) > 3
        with closing(LogReader(tmp_path)) as reader:
            assert reader.beginnings([TP]) == reader.ends([TP]) == {TP: len(VIEWS)}
        assert apply_retention(tmp_path, time.time() + 30 * DAY) == 0
        assert cursor.read(10) == []
        partition.append([b"at last"])
        assert [(record.offset, record.value) for record in cursor.read(10)] == [(len(VIEWS), b"at last")]


def test_too_much_is_deleted_from_the_beginning(tmp_path: Path) -> None:
    partition = views(tmp_path)
    sizes = [file.stat().st_size for file in partition.files()]
    limit = sum(sizes[3:])
    create_topics(tmp_path, [TopicSpec(TP.topic, 1, 7, limit)])
    assert apply_retention(tmp_path, time.time()) == 3
    assert apply_retention(tmp_path, time.time()) == 0
    create_topics(tmp_path, [TopicSpec(TP.topic, 1, 7, 1)])
    apply_retention(tmp_path, time.time())
    assert len(partition.files()) == 1, "the last segment stays"
    assert end_of(partition.folder) == len(VIEWS)


def test_a_reader_overtaken_by_retention_is_told_what_it_may_do(tmp_path: Path) -> None:
    partition = views(tmp_path)
    with closing(Cursor(tmp_path, TP, 0)) as cursor:
        first = cursor.read(1)
        grow_old(partition, days=8)
        apply_retention(tmp_path, time.time())
        with pytest.raises(LogError, match=r"no longer there, the log begins at 60.*\[start\] at"):
            first.extend(record for _ in VIEWS for record in cursor.read(5))
    assert [record.value for record in first] == VIEWS[: len(first)], "what it had open it still read"
    with pytest.raises(LogError, match="offset 3 is no longer there"):
        Cursor(tmp_path, TP, 3)


def test_a_place_is_found_by_time_over_many_segments(tmp_path: Path) -> None:
    partition = OnePartition.made(tmp_path)
    hour = 3_600_000
    for number, view in enumerate(VIEWS):
        partition.append([view], at=number * hour)
    for number in (0, 1, 7, 30, 59):
        assert first_at(partition.folder, number * hour) == number
        assert first_at(partition.folder, number * hour - 1) == number
    assert first_at(partition.folder, 60 * hour) == 60


def test_a_clock_set_back_an_hour_hides_nothing_from_a_search_by_time(tmp_path: Path) -> None:
    partition = OnePartition.made(tmp_path)
    hour = 3_600_000
    partition.append(VIEWS[:20], at=10 * hour)
    partition.append(VIEWS[20:], at=9 * hour)
    assert first_at(partition.folder, 10 * hour) == 0
    assert first_at(partition.folder, 9 * hour) == 0


def test_how_long_a_topic_is_kept_follows_the_settings_and_how_many_partitions_does_not(tmp_path: Path) -> None:
    create_topics(tmp_path, [TopicSpec("orders", 3, 7)])
    create_topics(tmp_path, [TopicSpec("orders", 5, 1)])
    assert partitions(tmp_path, "orders") == 3
    partition = OnePartition(tmp_path)
    partition.append(VIEWS)
    grow_old(partition, days=2)
    assert apply_retention(tmp_path, time.time()) > 1


@pytest.mark.parametrize("group", ["../../etc", "a/b", "", ".", "..", "Żuk", "g"])
def test_a_group_stays_in_its_folder_whatever_it_is_called(tmp_path: Path, group: str) -> None:
    OnePartition.made(tmp_path)
    with closing(LogReader(tmp_path, group)) as reader:
        reader.commit({TP: 7})
    with closing(LogReader(tmp_path, group)) as reader:
        assert reader.committed([TP]) == {TP: 7}
    file = commit_file(tmp_path, group, TP)
    assert file.resolve().parent.parent == (tmp_path / "groups").resolve()
    assert file.is_file()


@pytest.mark.parametrize("topic", ["..", "../orders", "a/b", ".hidden", "", "x" * 201, "a b"])
def test_a_topic_with_a_name_that_could_leave_its_folder_is_refused(tmp_path: Path, topic: str) -> None:
    with pytest.raises(LogError, match="Rename it"):
        create_topics(tmp_path, [TopicSpec(topic, 1, 7)])
    with closing(LogReader(tmp_path)) as reader, pytest.raises(LogError, match="Rename it"):
        reader.ends([TopicPartition(topic, 0)])


def test_only_its_owner_may_look_into_a_log(tmp_path: Path) -> None:
    partition = views(tmp_path / "log")
    with closing(LogReader(tmp_path / "log", "g")) as reader:
        reader.commit({TP: 1})
        folders = [tmp_path / "log", partition.folder, partition.folder.parent, tmp_path / "log" / "groups"]
        folders.append(tmp_path / "log" / "bells")
        assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}
        assert {file.stat().st_mode & 0o777 for file in partition.folder.iterdir()} == {0o600}
