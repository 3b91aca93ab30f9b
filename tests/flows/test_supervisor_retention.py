"""What the embedded log must keep, however old it is."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from config.load import load
from config.settings import Settings
from flows import worker_doors as doors
from flows.supervisor_retention import unread
from flows.worker_process import Beat
from state.records import TopicPartition


def settings_in(folder: Path) -> Settings:
    settings = load(None, {"IMPULS_DATA_DIR": str(folder), "IMPULS_SECRET_FILE": str(folder / "secret")})
    doors.make_topics(settings)
    return settings


def test_of_who_has_not_told_yet_nothing_is_taken(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    kept = unread(settings, workers=2)
    assert set(kept.values()) == {0}
    assert {tp.topic for tp in kept} == {*doors.input_topics(settings), "deliveries", "internal", "messages"}
    Beat(settings.data_dir, "worker-0").tell({"watermarks": {"clickstream/0": 7}}, metrics=False)
    assert unread(settings, workers=2)[TopicPartition("clickstream", 0)] == 0, "the other has not told"


def test_who_is_furthest_behind_decides(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    for number, at in enumerate((7, 5)):
        told = {"watermarks": {"clickstream/0": at, "deliveries/1": at + 1}}
        Beat(settings.data_dir, f"worker-{number}").tell(told, metrics=False)
    with closing(doors.open_reader(settings, doors.COURIERS)) as reader:
        reader.commit({TopicPartition("messages", 1): 9})
    kept = unread(settings, workers=2)
    assert {str(tp.topic) + str(tp.partition): offset for tp, offset in kept.items() if offset} == {
        "clickstream0": 5,
        "deliveries1": 6,
        "messages1": 9,
    }
