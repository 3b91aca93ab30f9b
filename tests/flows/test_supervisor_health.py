"""Where a supervisor tells how its processes are, and what it does where somebody else has the address."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.flows.commands import ROOT, impuls
from tests.flows.deployments import SECONDS_MAX, Deployment, running, until


@pytest.fixture
def taken() -> Iterator[str]:
    """An address that somebody has."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        yield f"127.0.0.1:{door.getsockname()[1]}"


def test_a_taken_address_is_named_before_anything_is_started(tmp_path: Path, taken: str) -> None:
    ended = impuls(
        "run",
        IMPULS_DATA_DIR=str(tmp_path / "data"),
        IMPULS_SECRET_FILE=str(tmp_path / "secret"),
        IMPULS_METRICS__LISTEN=taken,
    )
    assert ended.code == 1
    assert f"metrics.listen: {taken} cannot be listened on (Address already in use)" in ended.err
    assert "name another address" in ended.err
    assert "Traceback" not in ended.err
    assert list((tmp_path / "data" / "run").iterdir()) == []
    assert not (tmp_path / "data" / "shards").exists()


def test_couriers_beside_the_workers_do_without_the_address_and_are_told_of_all_the_same(tmp_path: Path) -> None:
    with running(tmp_path, "--only", "worker") as workers:
        stale = tmp_path / "data" / "run" / "courier-7.prom"
        stale.write_text("")
        with beside(workers, "courier") as said:
            assert until(lambda: "courier-0" in workers.status()["processes"]), said.read_text()
            [warning] = [line for line in lines(said) if line["event"] == "metrics not told here"]
            assert warning["fact"].startswith("metrics.listen: ")
            assert until(lambda: 'process="courier-0"' in metrics(workers))
            assert not stale.exists()
        assert workers.stop() == 0, workers.log()


@contextmanager
def beside(deployment: Deployment, part: str) -> Iterator[Path]:
    """Another supervisor on the same configuration; where its log goes."""
    said = deployment.folder / f"{part}.log"
    command = ["-c", "from flows.cli import main; main()", "run", "--only", part, "--config", str(deployment.config)]
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-P", *command], stderr=out, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
    try:
        yield said
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS_MAX) == 0, said.read_text()
    finally:
        process.kill()
        process.wait()


def lines(said: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in said.read_text().splitlines()]


def metrics(deployment: Deployment) -> str:
    address = deployment.config.read_text().rpartition('listen = "')[2].partition('"')[0]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        return str(answer.read().decode())
