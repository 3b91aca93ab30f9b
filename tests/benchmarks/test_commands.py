"""A load tester's way: list, run, read, change a setting, compare; and what is said when it cannot be done."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.cli import app
from benchmarks.reports.report import read, save
from benchmarks.targets import MARK, NotTaken, check_that_nobody_uses, open_target
from config.load import load as load_settings
from connectors.log import create_topics
from state.records import TopicSpec
from tests.benchmarks.loads import report

RUNNER = CliRunner()


def test_the_workloads_are_listed() -> None:
    done = RUNNER.invoke(app, ["list"])
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.output.splitlines()] == [
        "steady",
        "daily",
        "spike",
        "long-tail",
        "hot-key",
        "replay",
    ]


@pytest.mark.timeout(180)
def test_one_second_of_load_on_the_embedded_log_makes_a_report_and_a_page(tmp_path: Path) -> None:
    out = tmp_path / "a.json"
    short = ["--rate", "100", "--seconds", "1", "--warm-seconds", "0.5", "--repeat", "2", "--set", "store.cache_mib=16"]
    done = RUNNER.invoke(app, ["run", "steady", *short, "--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found = read(out)
    accepted, events = found.measure("accepted_p50_ms"), found.measure("events_a_second")
    assert accepted is not None
    assert events is not None
    assert len(accepted.values) == 2
    assert all(0 < value < 60_000 for value in accepted.values)
    assert found.settings["setting store.cache_mib"] == "16"
    assert {each.chart for each in found.series} == {"latency", "rate", "CPU", "memory"}
    assert not [warning for warning in found.warnings if "mails" in warning]
    assert out.with_suffix(".html").read_text().count("<svg") == 5
    compared = RUNNER.invoke(app, ["compare", str(out), str(out)])
    assert compared.exit_code == 0
    assert "Too few repetitions" in compared.output


@pytest.mark.timeout(180)
def test_a_file_of_ones_own_is_played(tmp_path: Path) -> None:
    mine, out = tmp_path / "mine.jsonl", tmp_path / "a.json"
    at = "2026-11-23T10:00:0{}.000Z"
    who = [
        {"type": "identify", "userId": f"c{n}", "timestamp": at.format(0), "traits": {"email": "x@real.example"}}
        for n in range(20)
    ]
    agree = {"channel": "email", "topic": "marketing"}
    consents = [
        {"type": "track", "event": "Consent Granted", "userId": f"c{n}", "timestamp": at.format(4), "properties": agree}
        for n in range(20)
    ]
    mine.write_text("\n".join(json.dumps(each) for each in [*who, *consents]))
    asked = ["run", "replay", "--file", str(mine), "--speed", "2", "--warm-seconds", "0.5", "--repeat", "1"]
    done = RUNNER.invoke(app, [*asked, "--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found = read(out)
    mails = found.measure("mails_a_second")
    assert mails is not None
    assert round(mails.values[0] * 1.5) == 20
    assert found.title == "replay at 2 times its own pace"


def test_worse_can_be_made_to_fail(tmp_path: Path) -> None:
    save(report({"p50": [1, 2, 3, 2, 1]}), tmp_path / "a.json")
    save(report({"p50": [11, 12, 13, 12, 11]}), tmp_path / "b.json")
    a, b = str(tmp_path / "a.json"), str(tmp_path / "b.json")
    assert RUNNER.invoke(app, ["compare", a, b]).exit_code == 0
    assert RUNNER.invoke(app, ["compare", a, b, "--fail-on-worse"]).exit_code == 1
    assert RUNNER.invoke(app, ["compare", b, a, "--fail-on-worse"]).exit_code == 0


@pytest.mark.parametrize(
    ("asked", "fact"),
    [
        (["run", "stedy", "--out", "x.json"], "stedy: there is no such workload. Choose one of steady"),
        (["run", "replay", "--out", "x.json"], "--file and the workload replay go together"),
        (["run", "steady", "--set", "cache", "--out", "x.json"], "cache has no =. Something like store.cache_mib=64"),
        (["run", "steady", "--set", "store.cash_mib=64", "--out", "x.json"], "IMPULS_STORE__CASH_MIB is not a setting"),
        (["run", "steady", "--smtp", "here", "--out", "x.json"], "here is no host and port"),
        (["html", "pyproject.toml"], "pyproject.toml: no report"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_way_out(asked: list[str], fact: str) -> None:
    done = subprocess.run([sys.executable, "-m", "benchmarks", *asked], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert fact in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr


def test_a_log_that_somebody_uses_is_left_alone_unless_a_benchmark_left_its_mark(tmp_path: Path) -> None:
    settings = load_settings(None, {"IMPULS_DATA_DIR": str(tmp_path), "IMPULS_SECRET_FILE": str(tmp_path / "secret")})
    check_that_nobody_uses(settings)
    create_topics(tmp_path / "log", [TopicSpec("decisions", 1, 1), TopicSpec("clickstream", 1, 1)])
    with pytest.raises(NotTaken, match="has the topics clickstream, decisions already, and no mark"):
        check_that_nobody_uses(settings)
    create_topics(tmp_path / "log", [TopicSpec(MARK, 1, 1)])
    check_that_nobody_uses(settings)


def test_a_kafka_of_ones_own_is_read_from_its_end_and_in_a_group_of_its_own() -> None:
    with open_target("log", "kafka.example:9092", "run-1") as target:
        environment = {f"IMPULS_{name.upper().replace('.', '__')}": value for name, value in target.altered.items()}
    settings = load_settings(None, environment)
    assert (settings.source, settings.kafka.bootstrap_servers) == ("kafka", "kafka.example:9092")
    assert (settings.start.at, settings.kafka.group) == ("latest", "impuls-bench-run-1")
