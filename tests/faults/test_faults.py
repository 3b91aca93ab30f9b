"""A sample of the other faults, each once, on one deployment.  `make prove` takes them all, again and again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.proof.faults import FAULTS
from benchmarks.proof.results import Results
from benchmarks.proof.stage import PLANS, stage
from benchmarks.proof.verdict import Verdict

SAMPLE = ("cut-shards", "smtp-drop", "strangers-few")
SEED = 11


@pytest.mark.long
@pytest.mark.timeout(600)  # of a machine that has other work; alone it takes less than a minute
@pytest.mark.skipif(sys.platform != "linux", reason="the proofs find their children in /proc, which is Linux's")
def test_lost_tails_mails_taken_in_silence_and_kills_while_strangers_become_known_change_no_decision(
    tmp_path: Path,
) -> None:
    with stage("log", tmp_path) as shop:
        for fault in (each for each in FAULTS if each.name in SAMPLE):
            trial = shop.try_once(fault, SEED)
            assert trial.verdict.broken == [], fault.name
            assert trial.verdict.decisions > 0


def test_every_fault_has_a_name_of_its_own_and_a_stage_that_there_is() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert {fault.stage for fault in FAULTS} <= PLANS.keys()


def test_slices_add_up_and_a_broken_promise_is_kept(tmp_path: Path) -> None:
    into = tmp_path / "results.json"
    bad = Verdict()
    bad.hold("no decision is lost", ["m1", "m2"], "lost")
    for verdict in (Verdict(), bad):
        results = Results(into, ["kill"])
        results.add("kill", verdict, kills=3, seconds=1, notes={"shards_cut": 2}, again="--seed 1")
    results = Results(into, ["kill"])
    assert not results.is_well
    assert results.json["faults"]["kill"]["tried"] == 2
    assert results.json["faults"]["kill"]["failed"] == 1
    assert results.json["faults"]["kill"]["seen"] == {"shards_cut": 4}
    assert (results.json["kills_under_work"], results.json["lost"]) == (6, 2)


def test_slices_side_by_side_try_nothing_twice_and_lose_nothing_of_each_other(tmp_path: Path) -> None:
    into = tmp_path / "results.json"
    one, other = Results(into, ["kill"]), Results(into, ["kill", "rescale"])
    one.begin({"seed": 1})
    other.begin({"seed": 1})
    assert [one.take("kill"), other.take("kill"), one.take("kill")] == [0, 1, 2]
    one.add("kill", Verdict(), kills=3, seconds=1, notes={}, again="--seed 1")
    other.add("kill", Verdict(), kills=4, seconds=1, notes={}, again="--seed 1")
    other.skip("rescale", "one core")
    one.end(5)
    assert one.json["kills_under_work"] == 7
    assert one.json["faults"]["kill"]["tried"] == 2
    assert one.json["faults"]["rescale"]["skipped"] == "one core"
    assert [run.get("seconds") for run in one.json["runs"]] == [5, None]
