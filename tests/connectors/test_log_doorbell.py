"""Who is woken by what is appended, and who sleeps on."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from connectors.log.doorbell import Bell, Ringer
from state.records import TopicPartition

CLICKS, ORDERS = TopicPartition("clickstream", 0), TopicPartition("orders", 1)


def test_a_bell_rings_for_what_its_reader_reads(tmp_path: Path) -> None:
    with closing(Ringer(tmp_path)) as ringer, closing(Bell(tmp_path)) as all_of_it, closing(Bell(tmp_path)) as orders:
        orders.listen_to(["orders"])
        ringer.ring([CLICKS])
        ringer.ring([ORDERS])
        assert all_of_it.rung() == {b"clickstream/0", b"orders/1"}
        assert orders.rung() == {b"orders/1"}


def test_it_follows_its_reader_from_topic_to_topic(tmp_path: Path) -> None:
    with closing(Ringer(tmp_path)) as ringer, closing(Bell(tmp_path)) as bell:
        for topics, heard in (["orders"], False), (["clickstream"], True), ([], False), (map(str, range(20)), True):
            bell.listen_to(topics)
            ringer._refresh_at = 0.0  # as a quarter of a second later
            ringer.ring([CLICKS])
            assert bool(bell.rung()) == heard


def test_a_bell_leaves_nothing_behind_whatever_it_listened_to(tmp_path: Path) -> None:
    with closing(Bell(tmp_path)) as bell:
        bell.listen_to(["orders", "clickstream"])
        assert [each.name[16] for each in (tmp_path / "bells").iterdir()] == ["-"]
    assert list((tmp_path / "bells").iterdir()) == []
