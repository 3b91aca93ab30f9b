"""A load tester's way: list, run, read, change a setting, compare; and what is said when it cannot be done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.cli import app
from benchmarks.load.recordings import NoRecording
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
    assert not [warning for warning in found.warnings if "accepted" in warning]
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
        (["run", "replay", "--out", "x.json"], "replay plays one: name it. `impuls-bench record` writes one."),
        (["run", "daily", "--file", "README.md", "--out", "x.json"], "daily plays none: leave it out, or run replay."),
        (["run", "steady", "--set", "cache", "--out", "x.json"], "cache has no =. Something like store.cache_mib=64"),
        (
            ["run", "steady", "--set", "store.cash_mib=64", "--out", "x.json"],
            "--set store.cash_mib is not a setting. Did",
        ),
        (["run", "steady", "--set", "store.cache_mib=x", "--out", "x.json"], '--set store.cache_mib is "x", which is'),
        (["run", "steady", "--set", "smtp.port=25", "--out", "x.json"], "Name a mail server of your own with --smtp"),
        (["run", "steady", "--smtp", "127.0.0.1:1", "--out", "x.json"], "--smtp 127.0.0.1:1: nobody takes mails there"),
        (["run", "steady", "--bootstrap-servers", "a", "--out", "x.json"], '--bootstrap-servers is "a", which is not'),
        (["run", "steady", "--topic", "mine", "--out", "x.json"], "--topic mine: this Impuls does not read it. Name"),
        (["run", "steady", "--speed", "2", "--out", "x.json"], "--speed: steady is no recording. Use --rate."),
        (["run", "steady", "--no-start", "--parked", "--out", "x.json"], "is not changed by --parked. Leave it out"),
        (["run", "steady", "--out", "x.html"], "--out x.html: that is the page's name. Name the report x.json."),
        (["run", "steady", "--out", "docs"], "--out docs: that is a folder. Name a file in it: docs/report.json"),
        (
            ["run", "steady", "--out", "Makefile/x.json"],
            "--out Makefile/x.json: no file can be made there (Makefile is no f",
        ),
        (["run", "steady", "--smtp", "here", "--out", "x.json"], "here is no host and port"),
        (["html", "pyproject.toml"], "pyproject.toml: no report"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_way_out(asked: list[str], fact: str) -> None:
    done = subprocess.run([sys.executable, "-m", "benchmarks", *asked], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert fact in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr
    assert not done.stdout  # it is said before anything is measured


def test_a_log_without_an_impuls_is_named_and_not_made(tmp_path: Path) -> None:
    file, log = tmp_path / "impuls.toml", tmp_path / "data" / "log"
    file.write_text(f'data_dir = "{tmp_path / "data"}"')
    asked = ["run", "steady", "--no-start", "--config", str(file), "--out", str(tmp_path / "a.json")]
    with pytest.raises(NotTaken, match=f"log in {log} has no topics clickstream, decisions, deliveries"):
        RUNNER.invoke(app, asked, catch_exceptions=False)
    assert not log.exists()
    with pytest.raises(NoRecording, match=f"there is no such topic in the embedded log in {log}"):
        RUNNER.invoke(
            app, ["record", "x", "--to", str(tmp_path / "x.jsonl"), "--config", str(file)], catch_exceptions=False
        )


@pytest.mark.parametrize("moment", ["parking", "under load"])
@pytest.mark.parametrize(("number", "ends_with"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
@pytest.mark.timeout(240)
def test_a_run_that_is_stopped_takes_all_that_it_started_with_it(
    tmp_path: Path, number: signal.Signals, ends_with: int, moment: str
) -> None:
    command = [sys.executable, "-m", "benchmarks", "run", "steady", "--rate", "20", "--seconds", "60"]
    out = tmp_path / "a.json"
    awaited = "flows.courier"
    if moment == "parking":
        command += ["--parked", "--customers", "500000"]  # a minute's work
        awaited = "multiprocessing.spawn"
    with subprocess.Popen(
        [*command, "--repeat", "1", "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        while not any(awaited in line for line in _of_session(running.pid)):
            assert running.poll() is None
            time.sleep(0.1)
        if number == signal.SIGINT:
            os.killpg(running.pid, number)  # a terminal tells all of them
        else:
            running.send_signal(number)
        _, said = running.communicate(timeout=120)
    assert running.returncode == ends_with
    assert said.strip() == "Stopped: what was started has ended, and no report was written."
    deadline = time.monotonic() + 10
    while left := _of_session(running.pid):  # who was killed may take a moment to be gone
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
    assert not out.exists()


def _of_session(leader: int) -> list[str]:
    """The command lines of its processes, but for its leader's and those of the dead."""
    command = ["ps", "-ww", "-o", "pid=,stat=,args=", "-s", str(leader)]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return [line for line in listed if int(line.split()[0]) != leader and not line.split()[1].startswith("Z")]


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
