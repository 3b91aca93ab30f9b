"""What the HTTP doors know of what answers showed, whoever gave them and whether or not there is a log of them."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from config import load
from config.settings import Settings
from flows import serve_following
from flows import worker_doors as doors
from flows.serve_following import Following
from state.instants import format_instant
from state.recommendations import TOPIC, History
from tests.brokers import Broker
from tests.connectors.kafkas import KafkaDoor, new_topic
from tests.flows.deployments import until

MINUTE = 60_000
NOW = round(time.time() * 1000)
VIEWED_HAT = {
    "type": "track",
    "event": "Product Viewed",
    "userId": "anna",
    "timestamp": format_instant(NOW),
    "properties": {"product_id": "hat"},
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = load(None, {"IMPULS_DATA_DIR": str(tmp_path), "IMPULS_SECRET_FILE": str(tmp_path / "secret")})
    doors.make_topics(made)
    return made


def append(settings: Settings, *rows: Any, topic: str = TOPIC) -> None:
    with closing(doors.open_writer(settings)) as writer:
        for row in rows:
            value = row if isinstance(row, bytes) else json.dumps(row).encode()
            assert writer.send(topic, b"anna", value)
        assert writer.flush(10)


def answer(minutes_ago: int, *items: str, **more: str) -> dict[str, Any]:
    at = format_instant(NOW - minutes_ago * MINUTE)
    return {"at": at, "customer": "anna", "block": "discover", "items": [{"item": each} for each in items], **more}


@contextmanager
def following(settings: Settings) -> Iterator[Following]:
    found = Following(settings)
    found.start()
    try:
        yield found
    finally:
        found.stop()


def times(found: Following) -> dict[str, int]:
    history = found.shown.added_to(found.recent.added_to(History(), "anna"), "anna")
    return {item: each.times for item, each in history.shown.items()}


def test_answers_are_counted_from_the_log_those_from_before_the_start_too(settings: Settings) -> None:
    append(settings, answer(200, "hat", "coat"), answer(100, "hat"), answer(99, "hat"))
    with following(settings) as found:
        assert until(lambda: times(found) == {"hat": 2, "coat": 1})
        append(settings, b"no answer", answer(50, "tie", message_id="m1"), {"at": "soon"}, {"at": "soon", "items": []})
        append(settings, answer(10, "hat"))
        assert until(lambda: times(found) == {"hat": 3, "coat": 1})
        append(settings, VIEWED_HAT, topic="clickstream")
        assert until(lambda: times(found) == {"coat": 1})
        assert found.recent.version("anna") == 1
    with following(settings) as again:
        assert until(lambda: times(again) == {"coat": 1})


def test_where_answers_are_logged_only_later_they_are_followed_from_then_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(settings.data_dir / "log" / "topics" / TOPIC)
    monkeypatch.setattr(serve_following, "LOOK_SECONDS", 0.1)
    with following(settings) as found:
        append(settings, VIEWED_HAT, topic="clickstream")
        assert until(lambda: found.recent.version("anna") == 1), "events are followed all the same"
        doors.make_topics(settings)
        append(settings, answer(10, "coat"))
        assert until(lambda: times(found) == {"coat": 1})


def test_on_kafka_too(kafka_for_impuls: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_following, "LOOK_SECONDS", 0.1)
    # Others have made the topic of answers there already.
    answered, clicks = f"t-{uuid.uuid4().hex[:12]}", new_topic(kafka_for_impuls.servers, 2)
    monkeypatch.setattr(serve_following, "TOPIC", answered)
    (tmp_path / "impuls.toml").write_text(
        f"""
data_dir = "{tmp_path}/data"
secret_file = "{tmp_path}/secret"
source = "kafka"
[kafka]
bootstrap_servers = "{kafka_for_impuls.servers}"
topics = ["{clicks}"]
group = "impuls-{uuid.uuid4().hex[:8]}"
"""
    )
    settings = load(tmp_path / "impuls.toml", {})
    with following(settings) as found:
        append(settings, VIEWED_HAT, topic=clicks)
        assert until(lambda: found.recent.version("anna") == 1)
        KafkaDoor(kafka_for_impuls.servers).create(answered, 2)
        append(settings, answer(100, "coat"), answer(10, "coat"), topic=answered)
        assert until(lambda: times(found) == {"coat": 2})
    with following(settings) as again:
        assert until(lambda: times(again) == {"coat": 2})


def test_no_more_is_looked_back_at_than_so_many_answers(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_following, "ANSWERS_BEFORE_MAX", 2 * settings.log.partitions)
    append(settings, *(answer(100, f"p{number}") for number in range(5)))
    with following(settings) as found:
        assert until(lambda: times(found) == {"p3": 1, "p4": 1})
