"""A sample of the fault proofs: a few kills under load, on each of the two logs.  `make prove` takes the rest."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.proof.broker import broker
from benchmarks.proof.deployment import Failed, Plan
from benchmarks.proof.killing import Killing, Proof

KILLS = 3
SEED = 11
pytestmark = [
    pytest.mark.timeout(400),  # of a machine that has other work; alone it takes half a minute
    pytest.mark.skipif(sys.platform != "linux", reason="the proofs find their children in /proc, which is Linux's"),
]


@pytest.fixture
def own_broker() -> Iterator[str]:
    try:
        with broker() as servers:
            yield servers
    except (Failed, OSError) as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no Kafka, and on CI there must be one: {error}")
        pytest.skip(f"left out, no Kafka here: {error}")


def proven(folder: Path, plan: Plan) -> Proof:
    return Killing(folder, plan, SEED, kills=KILLS, pace=15, puts_back=2).run()


def test_on_the_embedded_log_kills_and_a_shard_put_back_change_no_decision_and_no_mail(tmp_path: Path) -> None:
    proof = proven(tmp_path, Plan("log", "replay", shards=8, partitions=4))
    assert proof.verdict.broken == []
    assert proof.hits == KILLS
    assert proof.shards_put_back


@pytest.mark.long
def test_on_kafka_kills_and_a_shard_put_back_change_no_decision_and_no_mail(tmp_path: Path, own_broker: str) -> None:
    proof = proven(tmp_path, Plan("kafka", "replay", shards=8, partitions=4, servers=own_broker))
    assert proof.verdict.broken == []
    assert proof.hits == KILLS
    assert proof.shards_put_back
