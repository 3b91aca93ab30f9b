"""The suite: real deployments at a small scale, and what is made of what was measured."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import bench, scale
from benchmarks.reports.report import Measure, read
from benchmarks.suite import costs
from benchmarks.suite.beside import SAYS
from benchmarks.suite.processes import slope
from benchmarks.suite.recovery import _after_mail_outage, _after_outage
from benchmarks.suite.stage import TINY, Gathered, Stage, ratio_of_p99
from benchmarks.watch import Seen
from tests.benchmarks.loads import repetition

RESULT_KEYS = {*SAYS, "append_to_accepted_ms", "recovery_s", "two_processes"}


def measure(name: str, value: float, goal: float | None = None) -> Measure:
    return Measure(name=name, says=name, unit="ms", values=[value], goal=goal)


def test_what_was_not_measured_is_none_and_every_promised_key_is_there() -> None:
    found = Gathered([measure("accepted_at_50_p50_ms", 3.25, goal=4), measure("recovery_s", 4.5, goal=3)])
    told = bench.result(found)
    assert set(told) >= RESULT_KEYS
    assert told["append_to_accepted_ms"] == {"p50": 3.25, "p99": None, "p999": None}
    assert told["recovery_s"] == 4.5
    assert told["vs_faust"] is None
    assert told["missed"] == ["recovery_s"]


def test_goals_that_were_missed_are_told() -> None:
    lines = "\n".join(bench.verdicts(Gathered([measure("one", 3, goal=4), measure("two", 5, goal=4)], [], ["late"])))
    assert "reached  one: 3.00 ms (goal ≤ 4)" in lines
    assert "MISSED   two: 5.00 ms (goal ≤ 4)" in lines
    assert "late" in lines


def test_a_part_that_fails_does_not_keep_the_others_from_being_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Gathered:
        raise RuntimeError("no broker here")

    monkeypatch.setattr(bench, "_run_part", fail)
    found = bench.run(bench.Suite(("restart", "peers"), tiny=True), print)
    assert found.warnings == [f"{part}: not measured: RuntimeError: no broker here" for part in ("restart", "peers")]


def test_a_part_that_is_not_there_is_named() -> None:
    with pytest.raises(SystemExit):
        bench.main(["--only", "latencies"])


def test_the_speed_of_processes_leaves_out_their_start_and_end() -> None:
    one = [(0.0, 0), (1.0, 100), (2.0, 1_100), (3.0, 2_100), (4.0, 2_200)]
    assert slope({"worker-0": one}) == pytest.approx(1_000)
    assert slope({"worker-0": one, "worker-1": one}) == pytest.approx(2_000)


def test_caught_up_is_where_no_live_event_is_slow_any_more() -> None:
    slow = [(at, 4_000.0 - at) for at in range(0, 3_900, 100)]
    fast = [(at, 5.0) for at in range(4_000, 9_000, 100)]
    found = {each.name: each.median for each in _after_outage(Seen(accepted=[*slow, *fast]), 0)}
    assert found == {"outage_caught_up_s": 4.0, "outage_p99_ms": 5.0}
    always = {each.name: each.median for each in _after_outage(Seen(accepted=fast), 0)}
    assert always["outage_caught_up_s"] == 0


def test_live_mails_after_an_outage_are_told_apart_from_those_put_off(tmp_path: Path) -> None:
    put_off = [(at, 9_000.0 - at) for at in range(0, 4_000, 100)]
    live = [(at, 6.0) for at in range(5_500, 9_500, 100)]
    done = repetition(sorted([*put_off, *live]), seconds=10)
    found = _after_mail_outage(Stage(tmp_path, 1, TINY, print), done, 5_000)
    values = {each.name: each.median for each in found.measures}
    assert values["mail_outage_first_s"] == pytest.approx(0.506)
    assert values["mail_outage_live_p99_ms"] == 6
    assert values["mail_outage_all_s"] == 4


def test_a_hot_key_that_slows_the_others_shows_in_the_ratio() -> None:
    alike, hot = (repetition([(n, took) for n in range(100)]) for took in (5.0, 8.0))
    assert ratio_of_p99([hot], [alike]) == pytest.approx(1.6)


def test_what_safety_costs_is_more_than_nothing() -> None:
    values = {each.name: each.median for each in (*costs.encryption(), *costs.guards())}
    assert values["encryption_seal_us"] > 0.1
    assert values["guards_all_us"] > values["guards_bare_us"] > 0.1


def test_customers_that_do_not_fit_on_the_disk_are_left_out_and_told(tmp_path: Path) -> None:
    assert scale.lacks_room(tmp_path, 1_000) == ""
    assert "Make room, or choose fewer" in scale.lacks_room(tmp_path, 10**13)


@pytest.mark.timeout(180)
def test_two_sizes_are_measured_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "scale.json"
    asked = ["--sizes", "600,200", "--rush", "400", "--seconds", "1", "--repeat", "1", "--rate", "100"]
    assert scale.main([*asked, "--out", str(out)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    told = json.loads(last.removeprefix("RESULT "))
    assert set(told["sizes"]) == {"200", "600"}
    assert told["sizes"]["600"]["rss_mib"] > 20
    assert told["sizes"]["600"]["cost_us"] > 1
    assert told["p99_ratio"] > 0
    report = read(out)
    assert report.measure("parked_200_p99_ms") is not None
    assert "<svg" not in out.with_suffix(".html").read_text()  # there are no curves to draw


@pytest.mark.timeout(180)
def test_a_restart_is_timed_to_its_first_mail(tmp_path: Path) -> None:
    asked = bench.Suite(("restart",), tiny=True, out=tmp_path / "report.json")
    found = bench.run(replace(asked), print)
    assert found.warnings == []
    for name in ("restart_s", "recovery_s"):
        value = found.value(name)
        assert value is not None
        assert 0.1 < value < 60


@pytest.mark.timeout(180)
def test_mails_are_timed_beside_a_provider_that_hangs(capsys: pytest.CaptureFixture[str]) -> None:
    found = bench.run(bench.Suite(("provider",), tiny=True), print)
    assert found.warnings == []
    value = found.value("silent_provider_p99_ratio")
    assert value is not None
    assert value > 0
    timed = [int(count) for count in re.findall(r"(\d+) mails:", capsys.readouterr().out)]
    assert len(timed) == 2
    assert all(0 < count <= TINY.rate_max * TINY.seconds / 5 + 1 for count in timed), "webhooks are not timed"
