"""How many customers rest at each wait of a flow now: as running workers tell, else as the store has it."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from config import Settings
from flows.cli.reading import shard_reader
from flows.supervisor_health import STALE_SECONDS, read_beat
from operators.counts import parked_in
from operators.flow import Flow


def resting(settings: Settings, flow: Flow[Any]) -> dict[str, int]:
    """By the present names of its waits; those at a wait that is gone are left out."""
    found: Counter[str] = Counter()
    if not (settings.data_dir / "identity.json").exists():
        return {}  # no worker has run here yet
    for (name, wait), count in parked(settings).items():
        there = flow.find_wait(wait) if name == flow.name else None
        if there is not None:
            found[there[0].name] += count
    return dict(found)


def parked(settings: Settings) -> Counter[tuple[str, str]]:
    """Over all flows, by flow and by the name of the wait that they are stored with."""
    folder, now = settings.data_dir / "run", time.time()
    beats = [read_beat(folder, path.stem) for path in folder.glob("worker-*.json") if "place" not in path.stem]
    running = [beat for beat in beats if now - beat.get("at", 0) < STALE_SECONDS]
    found: Counter[tuple[str, str]] = Counter()
    for beat in running:
        for place, count in beat.get("parked", {}).items():
            name, _, wait = place.partition("/")
            found[name, wait] += count
    if not running:
        with shard_reader(settings) as open_shard:
            for number in range(settings.shards):
                found.update(parked_in(open_shard(number)))
    return found
