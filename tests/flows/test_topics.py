"""Which topics a deployment makes, and how much of each is kept."""

from __future__ import annotations

from pathlib import Path

from config.settings import Log, Settings
from connectors.log.folders import described
from flows import worker_doors as doors


def test_events_are_kept_as_the_settings_say_and_what_is_ours_by_time_alone(tmp_path: Path) -> None:
    doors.make_topics(Settings(data_dir=tmp_path, log=Log(partitions=2, retention_days=5, retention_mib=64)))
    topics = {path.parent.name: described(path) for path in tmp_path.glob("log/topics/*/topic.json")}
    assert (topics["clickstream"].retention_days, topics["clickstream"].retention_bytes) == (5, 64 << 20)
    assert topics["messages"].retention_bytes == topics["deliveries"].retention_bytes == 0
    assert topics["messages"].partitions == topics["deliveries"].partitions == 2


def test_a_limit_taken_back_holds_from_the_next_start(tmp_path: Path) -> None:
    doors.make_topics(Settings(data_dir=tmp_path, log=Log(retention_mib=64)))
    doors.make_topics(Settings(data_dir=tmp_path))
    assert described(tmp_path / "log" / "topics" / "orders" / "topic.json").retention_bytes == 0
