"""What really happened, recorded without anybody's name and played again at its own pace."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.load.plans import line
from benchmarks.load.recordings import NoRecording, Recording, length_seconds, record
from config.load import load as load_settings
from config.settings import Settings
from connectors.log import LogWriter, create_topics
from state.records import TopicSpec

EVENTS: list[dict[str, Any]] = [
    {
        "type": "identify",
        "messageId": "m1",
        "userId": "ola",
        "timestamp": "2026-11-23T10:00:00.000Z",
        "traits": {"email": "ola@real.example", "firstName": "Aleksandra", "locale": "pl-PL"},
    },
    {
        "type": "track",
        "event": "Product Viewed",
        "messageId": "m2",
        "userId": "ola",
        "anonymousId": "a-9",
        "timestamp": "2026-11-23T10:00:10.000Z",
        "properties": {"product_id": "p7", "price": 19.9},
    },
    {"type": "page", "messageId": "m3", "anonymousId": "a-9", "timestamp": "2026-11-23T10:00:30.000Z"},
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = load_settings(None, {"IMPULS_DATA_DIR": str(tmp_path), "IMPULS_SECRET_FILE": str(tmp_path / "secret")})
    create_topics(found.data_dir / "log", [TopicSpec("clickstream", 2, 1), TopicSpec("empty", 1, 1)])
    writer = LogWriter(found.data_dir / "log")
    for event in EVENTS:
        assert writer.send("clickstream", str(event.get("userId", "a-9")).encode(), json.dumps(event).encode())
    assert writer.send("clickstream", None, b"no json")
    assert writer.flush(10)
    writer.close()
    return found


@pytest.mark.parametrize("name", ["recorded.jsonl", "recorded.jsonl.gz"])
def test_a_recorded_topic_names_nobody_and_can_be_played(settings: Settings, tmp_path: Path, name: str) -> None:
    assert record(settings, "clickstream", tmp_path / name, None) == 3
    played = list(Recording(tmp_path / name, speed=1, seconds=60))
    text = " ".join(planned.body for planned in played)
    for personal in ("real.example", "Aleksandra", '"ola"', "a-9"):
        assert personal not in text
    assert '"locale":"pl-PL"' in text
    assert '"product_id":"p7"' in text
    assert len({planned.who for planned in played}) == 2


def test_a_file_is_played_at_its_own_pace_or_faster(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(json.dumps(event) for event in EVENTS))
    assert length_seconds(path) == 30
    assert [planned.at for planned in Recording(path, speed=1, seconds=60)] == [0, 10_000, 30_000]
    assert [planned.at for planned in Recording(path, speed=10, seconds=60, warm_seconds=1)] == [-1_000, 0, 2_000]
    assert [planned.at for planned in Recording(path, speed=1, seconds=11)] == [0, 10_000]


def test_each_repetition_meets_new_people_with_addresses_that_do_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(json.dumps(event) for event in EVENTS))
    first, second = (list(Recording(path, 1, 60, run=run)) for run in ("b-1", "b-2"))
    assert [planned.who for planned in first] == ["b-1-ola", "b-1-ola", "b-1-a-9"]
    assert {planned.who for planned in first}.isdisjoint(planned.who for planned in second)
    event = json.loads(line("b-1", 0, first[0].body, 0))
    assert event["traits"]["email"].endswith("@example.invalid")
    assert event["userId"] == "b-1-ola"
    assert event["timestamp"] == "1970-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    "bad", ['{"userId":"c1"}', "not json", '{"timestamp":"2026-11-23T10:00:00Z"}', '{"timestamp":3,"userId":"c"}']
)
def test_a_line_that_cannot_be_played_is_named(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps(EVENTS[0]) + "\n" + bad + "\n")
    with pytest.raises(NoRecording, match=r"mine\.jsonl:2: no event that can be played"):
        list(Recording(path, 1, 60))


def test_what_holds_no_events_is_named(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").touch()
    with pytest.raises(NoRecording, match=r"none\.jsonl: there are no events"):
        length_seconds(tmp_path / "none.jsonl")
    with pytest.raises(NoRecording, match="topic clicks: there is no such topic"):
        record(settings, "clicks", tmp_path / "x.jsonl", None)
    with pytest.raises(NoRecording, match=r"topic empty in the embedded log in .*: no events"):
        record(settings, "empty", tmp_path / "x.jsonl", None)
