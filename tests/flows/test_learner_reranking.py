"""From what was shown and chosen to another order: learnt by the learner once, saved, and had its way by the shop."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import uuid
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY

from config import Settings
from config.load import load
from connectors.log import LogWriter, create_topics
from flows import learner as learner_module
from flows import published_rerankings as published
from flows import worker_doors as doors
from flows.learner import Learner
from flows.learner_reranking import Rerank
from flows.published_models import FOLDER, ModelUnreadable
from operators.host import Stop
from operators.recommender.ranking import (
    CHALLENGERS,
    CHAMPION,
    CONTEST,
    FORMAT,
    Learnt,
    Standing,
    Weights,
    encode,
    read_weights,
)
from state import events as ev
from state.instants import parse_instant
from state.item_store import ItemStore
from state.recommendations import Recommendation, Recommended
from state.records import TopicSpec
from state.rocks import Memory
from tests.brokers import Broker
from tests.connectors.kafkas import new_topic
from tests.flows.deployments import Deployment, running, until
from tests.flows.test_cli import MINUTE, ago
from tests.flows.test_learner import beat
from tests.flows.test_recommending import items, told, view

BACKWARDS = Weights(number=9, weights={"place": -1.0})


def shown(number: int, who: str, minutes_ago: int, *products: str) -> Recommendation:
    """As the door logs it."""
    return Recommendation(
        recommendation_id=f"r{number}",
        at=ago(minutes_ago * MINUTE),
        customer=who,
        block="discover",
        strategy="co_visitation",
        fallback=False,
        items=tuple(Recommended(item=each, score=1.0, reason="seen_together") for each in products),
        features=tuple(
            {"place": -float(place), "niche": float(each == "niche")} for place, each in enumerate(products)
        ),
    )


def log_shown(deployment: Deployment, made: Iterable[Recommendation]) -> None:
    with closing(LogWriter(deployment.folder / "data" / "log")) as writer:
        for each in made:
            assert writer.send("recommendations", each.customer.encode(), msgspec.json.encode(each))


def standing(deployment: Deployment) -> dict[str, Any]:
    return dict(deployment.impuls("reranking", "list", "--json").lines()[0])


def has_judged(deployment: Deployment, choices: int) -> bool:
    return bool(standing(deployment)["choices"] == choices)


def read_to_the_end(deployment: Deployment) -> bool:
    """Whether the learner that runs now has read all, which it told after everything was there."""
    now = time.time()
    return until(lambda: beat(deployment).get("at", 0.0) > now + 2 and bool(beat(deployment)["ready"]))


def test_choices_among_what_was_shown_are_learnt_once_also_when_the_learner_is_killed(tmp_path: Path) -> None:
    crowd = [f"v{number}" for number in range(12)]
    with running(tmp_path) as deployment:
        log_shown(deployment, [shown(n, who, 9, "shoes", "hat", "niche") for n, who in enumerate(crowd)])
        clicks = [view(who, "niche", 8) | {"messageId": f"click {who}"} for who in crowd]
        deployment.import_events(*clicks[:8], *(view(who, "tent", 8) for who in crowd))
        assert until(lambda: has_judged(deployment, 8)), deployment.log()

        before = beat(deployment)["pid"]
        os.kill(before, signal.SIGKILL)
        deployment.import_events(*clicks, view("v0", "niche", 7))  # eight of them once more
        assert until(lambda: beat(deployment)["pid"] != before)
        assert until(lambda: has_judged(deployment, 12)), deployment.log()
        # What was chosen before the kill is chosen no more; what was shown then and is chosen now counts.
        log_shown(deployment, [shown(99, "v0", 5, "niche", "hat")])
        deployment.import_events(view("v0", "shoes", 6), view("v1", "hat", 6), view("v0", "niche", 4))
        assert until(lambda: has_judged(deployment, 15)), deployment.log()
        assert read_to_the_end(deployment)
        assert has_judged(deployment, 15)
        assert standing(deployment)["champion"] == 0
        assert deployment.stop() == 0, deployment.log()


def test_the_shop_has_its_way_with_what_ranks_and_answers_follow(tmp_path: Path) -> None:
    with running(tmp_path) as deployment:
        crowd = [f"v{number}" for number in range(30)]
        deployment.import_events(
            *(view(who, "shoes", 9) for who in crowd),
            *(view(who, "laces", 8) for who in crowd[:20]),
            *(view(who, "polish", 8) for who in crowd[20:]),
            view("anna", "shoes", 2),
        )
        anna = "/v1/recommendations/anna?limit=2"
        assert until(lambda: items(deployment, anna) == ["laces", "polish"]), deployment.log()
        exported = tmp_path / "exported.json"
        exported.write_bytes(encode(BACKWARDS))
        assert deployment.impuls("reranking", "hold", "--file", exported).code == 0
        assert until(lambda: items(deployment, f"{anna}&exclude=x1") == ["polish", "laces"]), deployment.log()
        assert told(deployment, f"{anna}&exclude=x1")["model"] == "rerank-1"
        assert {**standing(deployment), "challengers": []} == {
            "champion": 1,
            "held": True,
            "choices": 0,
            "reciprocal_rank": 0.0,
            "challengers": [],
            "versions": [1],
        }
        out = deployment.impuls("reranking", "export").out
        assert read_weights(out.encode()) == msgspec.structs.replace(BACKWARDS, number=1)

        assert deployment.impuls("reranking", "hold", "--number", "0").code == 0
        assert until(lambda: standing(deployment)["champion"] == 0), deployment.log()
        assert until(lambda: items(deployment, f"{anna}&exclude=x2") == ["laces", "polish"]), deployment.log()
        assert deployment.impuls("reranking", "hold", "--number", "7").code == 2
        assert deployment.impuls("reranking", "release").code == 0
        assert until(lambda: not standing(deployment)["held"]), deployment.log()
        assert "the order in which they come" in deployment.impuls("reranking", "list").out
        models = {
            line["model"] for line in deployment.impuls("report", "--json").lines() if line["kind"] == "recommended"
        }
        assert models == {"", "rerank-1"}
        assert deployment.stop() == 0, deployment.log()


def listens(settings: Settings) -> None:
    """A learner that was there before anything was recommended hears of what is, and of what came of it."""
    stop = Stop()
    learner = Learner(settings, stop)
    listening = threading.Thread(target=learner.run, daemon=True)
    listening.start()
    doors.make_topics(settings)
    customer, clicked = f"anna-{uuid.uuid4()}", doors.input_topics(settings)[0]
    with closing(doors.open_writer(settings)) as writer:
        made = shown(uuid.uuid4().int, customer, 9, "shoes", "hat")
        assert writer.send("recommendations", customer.encode(), msgspec.json.encode(made))
        click = json.dumps(view(customer, "hat", 8) | {"messageId": "click"}).encode()
        assert writer.send(clicked, customer.encode(), click)
        assert writer.flush(30)
    assert until(lambda: [each.judged for each in learner._rerank.standing.scores] == [1, 1])
    stop.ask()
    listening.join(60)
    assert REGISTRY.get_sample_value("impuls_rerank_choices") == 1
    assert REGISTRY.get_sample_value("impuls_rerank_champion") == 0
    ranks = [
        REGISTRY.get_sample_value("impuls_rerank_reciprocal_rank", {"ranker": name})
        for name in ("champion", *CHALLENGERS)
    ]
    assert ranks == [0.005] * 3  # of the second place, fading in


def test_on_the_embedded_log_the_topic_may_come_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner_module, "DISCOVER_SECONDS", 0.2)
    (tmp_path / "impuls.toml").write_text(f'data_dir = "{tmp_path}/data"\nsecret_file = "{tmp_path}/secret"\n')
    settings = load(tmp_path / "impuls.toml", {})
    create_topics(tmp_path / "data" / "log", [TopicSpec(name, 2, 90) for name in doors.input_topics(settings)])
    listens(settings)


def test_and_on_kafka(kafka_for_impuls: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner_module, "DISCOVER_SECONDS", 0.2)
    (tmp_path / "impuls.toml").write_text(
        f"""
data_dir = "{tmp_path}/data"
secret_file = "{tmp_path}/secret"
source = "kafka"
[kafka]
bootstrap_servers = "{kafka_for_impuls.servers}"
topics = ["{new_topic(kafka_for_impuls.servers, 2)}"]
group = "impuls-{uuid.uuid4().hex[:8]}"
"""
    )
    listens(load(tmp_path / "impuls.toml", {}))


def taught(rerank: Rerank, numbers: range) -> None:
    """So many are shown four products, and each goes for the last, which few know."""
    for number in numbers:
        made = shown(number, f"c{number}", 9, "shoes", "hat", "tent", "niche")
        who = made.customer.encode()
        rerank.show(who, json.dumps(msgspec.to_builtins(made)).encode())
        rerank.take(who, ev.ProductViewed(product_id="niche", at=parse_instant(made.at) + 1))


def saved(store: ItemStore, rerank: Rerank) -> Standing:
    store.commit({}, {}, rerank.to_save(), {})
    rerank.saved()
    return msgspec.json.decode(store.note(CONTEST) or b"", type=Standing)


def test_a_new_champion_is_published_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    store = ItemStore.open(tmp_path, Memory(8, 8))
    rerank = Rerank(store, tmp_path)
    taught(rerank, range(300))
    assert saved(store, rerank).champion.number == 0
    assert published.numbers(tmp_path / FOLDER) == []
    again = Rerank(store, tmp_path)
    taught(again, range(300, 600))
    now = saved(store, again)
    assert now.champion.number == 1
    assert published.version(tmp_path / FOLDER, 1) == now.champion == read_weights(store.note(CHAMPION) or b"")
    assert [each.choices for each in now.challengers] == [600, 600]
    again.tell()
    assert not again.to_save()  # nothing new, nothing to write

    anew = Rerank(ItemStore.open(tmp_path / "other", Memory(8, 8)), tmp_path)  # as if the store had been removed
    taught(anew, range(500))
    assert anew.standing.champion.number == 2  # no number is given twice
    store.close()


def test_held_the_champion_stays_whatever_is_learnt_until_it_is_released(tmp_path: Path) -> None:
    store = ItemStore.open(tmp_path, Memory(8, 8))
    rerank = Rerank(store, tmp_path)
    published.wish(tmp_path / FOLDER, published.Wish(asked="one", held=True))
    rerank.heed()
    taught(rerank, range(1_000))
    assert (saved(store, rerank).champion.number, rerank.standing.held) == (0, True)
    again = Rerank(store, tmp_path)
    again.heed()  # what was heard is not heard again
    assert not again.changed
    published.wish(tmp_path / FOLDER, published.Wish(asked="two", held=False))
    again.heed()
    taught(again, range(1_000, 1_500))
    assert saved(store, again).champion.number == 1
    store.close()


def test_what_cannot_be_read_is_told_and_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = ItemStore.open(tmp_path, Memory(8, 8))
    store.commit({}, {}, {CONTEST: b"{"}, {})
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / published.WISH).write_text("hold it")
    (folder / "rerank-3.json").write_text('{"format":99}')
    rerank = Rerank(store, tmp_path)
    rerank.heed()
    assert rerank.standing == Standing()
    assert {record.message for record in caplog.records} == {"contest not read", "wish not read"}
    with pytest.raises(ModelUnreadable, match=r"rerank-3\.json: written by a newer version"):
        published.version(folder, 3)
    store.close()


def test_what_weighed_other_things_is_begun_anew_and_a_hold_stays_one(tmp_path: Path) -> None:
    store = ItemStore.open(tmp_path, Memory(8, 8))
    old = Weights(format=FORMAT - 1, number=3, weights={"after 0": 1.0})
    before = Standing(champion=old, challengers=[Learnt(weights={"place": 9.0}, choices=700)], latest=4, held=True)
    store.commit({}, {}, {CONTEST: encode(before)}, {})
    rerank = Rerank(store, tmp_path)
    assert rerank.standing == Standing(latest=4, held=True)
    folder = tmp_path / FOLDER
    published.wish(folder, published.Wish(asked="now", champion=old, held=True))
    with pytest.raises(ModelUnreadable, match="older version"):
        published.wished(folder)
    rerank.heed()
    assert rerank.standing == Standing(latest=4, held=True)
    store.close()
