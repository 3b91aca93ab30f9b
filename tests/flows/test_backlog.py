"""A worker that finds a whole history in its log decides what a replay of the events decides, and can explain it."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

from state.instants import format_instant, parse_instant
from tests.flows.commands import asked
from tests.flows.deployments import running, until

START = parse_instant("2026-01-05T08:00:00Z")
PEOPLE = [f"c{n}" for n in range(12)]
SETTINGS = 'clock = "replay"\n[send]\nmode = "mute"\n[recommender]\nenabled = false\n'
Json = dict[str, Any]


def history() -> list[Json]:
    """Views, and a catalogue whose words come by another topic; then somebody else, so that all waits are over."""
    chance, at, found = Random(5), START, list[Json]()
    for number in range(600):
        at += chance.choice([1, 60, 600, 3_600, 7_200]) * 1_000
        product = {"product_id": f"p{chance.randrange(5)}"}
        if chance.random() < 0.3:
            event: Json = {"event": "Product Changed", "properties": {**product, "availability": chance.random() < 0.5}}
        else:
            event = {"event": "Product Viewed", "properties": product, "userId": chance.choice(PEOPLE)}
        found.append({"type": "track", **event, "messageId": f"m{number}", "timestamp": format_instant(at)})
    last = {"type": "track", "event": "Seen", "userId": "last", "messageId": "last", "properties": {}}
    return [*found, {**last, "timestamp": format_instant(at + 86_400_000)}]


def told(lines: list[Json]) -> set[tuple[str, ...]]:
    return {(each["decision_id"], each["at"], each["outcome"], each.get("reason", "")) for each in lines}


def test_a_backlog_is_decided_as_a_replay_decides_it_and_explained(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(each) + "\n" for each in history()))
    (tmp_path / "secret").write_text("x" * 32)
    before = tmp_path / "before.toml"
    before.write_text(f'data_dir = "{tmp_path}/data"\nsecret_file = "{tmp_path}/secret"\nshards = 8\n{SETTINGS}')
    assert asked("import", "segment-jsonl", tmp_path / "events.jsonl", "--config", before).code == 0
    assert asked("replay", tmp_path / "events.jsonl", "--out", tmp_path / "out", "--config", before).code == 0
    replayed = told([json.loads(line) for line in (tmp_path / "out" / "decisions.jsonl").read_text().splitlines()])
    assert len(replayed) > 100
    with running(tmp_path, settings=SETTINGS.replace("[", "shards = 8\n[", 1)) as shop:
        assert until(lambda: len(shop.decisions()) >= len(replayed))
        decided = shop.decisions()
        assert shop.stop() == 0
    assert told(decided) == replayed
    for customer in PEOPLE[:4]:
        story = asked("explain", customer, "--json", "--config", tmp_path / "impuls.toml").lines()
        hers = [each for each in decided if each["customer"] == customer]
        assert {each["decision_id"] for each in story if each["what"] == "decision"} == {
            each["decision_id"] for each in hers
        }
        assert not [e for e in story if e["what"] == "difference" or e.get("stored") in ("differs", "missing")]
