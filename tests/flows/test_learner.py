"""The process that learns, as people run it: from the log, through a `kill -9`, once for every event."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from config.load import load
from flows import worker_doors as doors
from flows.learner import Learner
from operators.host import Stop
from operators.recommender.decay import gain
from operators.recommender.journal import KEPT, NOTE, span_of
from operators.recommender.rows import from_bytes
from state.ids import Ids
from state.item_store import ItemStore
from state.rocks import Memory
from state.secret import load_or_make
from tests.flows.commands import ROOT
from tests.flows.deployments import Deployment, running, until
from tests.flows.test_cli import MINUTE, ago, track
from tests.state.stores import fill, opened


def beat(deployment: Deployment) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads((deployment.folder / "data" / "run" / "learner.json").read_bytes())
        return found
    return {}


def total_after(deployment: Deployment, item: str) -> float:
    """How often another product followed this one, as it stands on disk."""
    scratch = deployment.folder / f"scratch-{time.monotonic_ns()}"
    store = ItemStore.open_reading(deployment.folder / "data", scratch, Memory(8, 8))
    if store is None:
        return 0.0
    row = store.row(item)
    store.close()
    return from_bytes(row).after_total / gain(round(time.time() * 1000)) if row is not None else 0.0


def view(who: str, product: str, minutes_ago: int) -> dict[str, Any]:
    return track(who, ago(minutes_ago * MINUTE), "Product Viewed", product_id=product)


def test_every_event_is_learnt_from_once_also_when_the_learner_is_killed(tmp_path: Path) -> None:
    with running(tmp_path) as deployment:
        visitors = [f"v{number}" for number in range(5)]
        deployment.import_events(
            *(track(who, ago(3 * MINUTE), "Product Viewed", product_id="shoes") for who in visitors)
        )
        deployment.import_events(
            *(track(who, ago(2 * MINUTE), "Product Viewed", product_id="laces") for who in visitors)
        )
        assert until(lambda: round(total_after(deployment, "shoes"), 1) == 5.0), deployment.log()
        os.kill(beat(deployment)["pid"], signal.SIGKILL)
        before = beat(deployment)["pid"]
        # The visits of before the kill go on: a hat after the laces, and after the shoes before them.
        deployment.import_events(*(view(who, "hat", 1) for who in visitors))
        assert until(lambda: round(total_after(deployment, "laces"), 1) == 5.0), deployment.log()
        assert until(lambda: beat(deployment)["pid"] != before), deployment.log()  # it tells after it has saved
        assert 5.0 < total_after(deployment, "shoes") < 10.0  # further back counts less; counted twice it would be 10
        assert deployment.stop() == 0, deployment.log()
    store = ItemStore.open(tmp_path / "data", Memory(8, 8))
    assert len(list(store.visitors())) == 5  # of whom it is to be learnt whether they buy
    store.close()


def test_it_runs_alone_and_ends_politely(tmp_path: Path) -> None:
    config = tmp_path / "impuls.toml"
    config.write_text(f'data_dir = "{tmp_path}/data"\nsecret_file = "{tmp_path}/secret"\n[metrics]\nlisten = "none"\n')
    command = [sys.executable, "-c", "from flows.cli import main; main()", "run", "--only", "learner"]
    command += ["--config", str(config)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        assert until(lambda: (tmp_path / "data" / "run" / "learner.json").exists())
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()


def test_whose_key_is_destroyed_in_her_shard_is_forgotten_by_the_learner_beside_it(tmp_path: Path) -> None:
    config = tmp_path / "impuls.toml"
    config.write_text(f'data_dir = "{tmp_path}/data"\nsecret_file = "{tmp_path}/secret"\nshards = 1\n')
    settings = load(config, {})
    doors.make_topics(settings)
    ids = Ids(load_or_make(settings.secret_file))
    anna, berta, phone = (ids.customer(name) for name in (b"anna", b"berta", b"phone"))
    writer = doors.open_writer(settings)
    for name, event in (
        (b"phone", {**view("", "shoes", 9), "userId": None, "anonymousId": "phone"}),
        (b"anna", {"type": "identify", "userId": "anna", "anonymousId": "phone", "timestamp": ago(8 * MINUTE)}),
        (b"berta", view("berta", "shoes", 9)),
    ):
        assert writer.send("clickstream", name, json.dumps({"messageId": f"{name!r}", **event}).encode())
    what = {"block": "discover", "strategy": "co_visitation", "fallback": False, "items": [], "features": [{}]}
    made = json.dumps({"recommendation_id": "r", "at": ago(7 * MINUTE), **what}).encode()
    for name in (b"phone", b"berta"):
        assert writer.send("recommendations", name, made)
    assert writer.flush(30)
    writer.close()
    stop = Stop()
    learner = Learner(settings, stop)
    with opened(settings.data_dir, 0, 1) as shard:
        for each in (anna, phone, berta):
            fill(shard, each)
        running = threading.Thread(target=learner.run, daemon=True)
        running.start()
        whose = learner._foretelling.whose
        shown = learner._rerank._impressions
        assert until(lambda: whose(phone) == anna and bool(learner._learnt_to) and shown.lists == 2)
        shard.erase(anna)
        shard.erase(phone)  # her other id goes with her
        assert until(lambda: whose(phone) == phone)
        assert shown.lists == 1
        stop.ask()
        running.join(60)
    store = ItemStore.open(settings.data_dir, Memory(8, 8))
    assert [who for who, _ in store.visitors()] == [berta]
    store.close()


def test_where_nothing_comes_for_a_while_nothing_of_what_was_done_last_stays_in_the_journal(tmp_path: Path) -> None:
    config = tmp_path / "impuls.toml"
    config.write_text(f'data_dir = "{tmp_path}/data"\nsecret_file = "{tmp_path}/secret"\nshards = 1\n')
    settings = load(config, {})
    doors.make_topics(settings)
    writer = doors.open_writer(settings)
    for product in ("shoes", "laces"):
        assert writer.send("clickstream", b"v", json.dumps({"messageId": product, **view("v", product, 9)}).encode())
    assert writer.flush(30)
    writer.close()
    learner = Learner(settings, Stop())
    learner._discover()
    assert until(lambda: learner._turn() > 0)
    learner._save()
    span = span_of(learner._store.note(NOTE))
    assert span.first <= span.last
    assert learner._store.entry(span.last) is not None
    for _ in range(KEPT + 2):
        learner._save()
    assert learner._learning.is_settled
    after = span_of(learner._store.note(NOTE))
    assert after.first > after.last
    assert not any(learner._store.entry(number) for number in range(after.last + 2))
    learner._reader.close()
    learner._store.close()
