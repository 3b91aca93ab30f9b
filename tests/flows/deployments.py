"""A deployment on the embedded log, run as people run it: `impuls run` as a process, in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.flows.commands import ROOT, Ended, asked

SECONDS_MAX = 60.0


@dataclass
class Deployment:
    """`folder` holds its configuration, state, log and what it said."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def config(self) -> Path:
        return self.folder / "impuls.toml"

    @property
    def url(self) -> str:
        """Where its HTTP doors are."""
        return f"http://{tomllib.loads(self.config.read_text())['http']['listen']}"

    def impuls(self, *arguments: str | Path) -> Ended:
        return asked(*arguments, "--config", self.config)

    def import_events(self, *events: Mapping[str, Any]) -> None:
        """Append events as a user would: by `impuls import` of a file."""
        path = self.folder / "events.jsonl"
        path.write_text("".join(json.dumps(event) + "\n" for event in events))
        ended = self.impuls("import", "segment-jsonl", path)
        assert ended.code == 0, ended.err

    def decisions(self, *options: str) -> list[dict[str, Any]]:
        ended = self.impuls("decisions", "--json", *options)
        assert ended.code == 0, ended.err
        return ended.lines()

    def status(self) -> dict[str, Any]:
        return dict(self.impuls("status", "--json").lines()[0])

    def log(self) -> str:
        return (self.folder / "impuls.log").read_text()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS_MAX)


def until(holds: Callable[[], bool], seconds: float = SECONDS_MAX) -> bool:
    """Whether this comes to hold within the time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@contextmanager
def running(
    folder: Path, *options: str, settings: str = "", at: Path | str = ROOT, **environment: str
) -> Iterator[Deployment]:
    """`impuls run` on a new (or the same) folder, ready; killed at the end where it still runs.

    With few shards where `settings` say nothing: each is opened twice at a start.  `at` is the working directory.
    """
    folder.mkdir(parents=True, exist_ok=True)
    few = "" if "shards = " in settings else "shards = 8\n"
    (folder / "impuls.toml").write_text(
        f"""data_dir = "{folder}/data"
secret_file = "{folder}/secret"
{few}{settings}
[http]
listen = "127.0.0.1:{free_port()}"
[metrics]
listen = "127.0.0.1:{free_port()}"
"""
    )
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("IMPULS_")}
    command = [sys.executable, "-P", "-c", "from flows.cli import main; main()", "run", *options, "--config"]
    with (folder / "impuls.log").open("ab") as out:
        process = subprocess.Popen(
            [*command, folder / "impuls.toml"],
            cwd=at,
            stderr=out,
            env={**inherited, "PYTHONPATH": str(ROOT), **environment},
        )
    made = Deployment(folder, process)
    try:
        assert until(lambda: process.poll() is not None or is_ready(made)), made.log()
        assert process.poll() is None, made.log()
        yield made
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def is_ready(deployment: Deployment) -> bool:
    """Whether every worker has read the results of couriers, and knows the time."""
    beats = [json.loads(path.read_text()) for path in (deployment.folder / "data" / "run").glob("worker-*.json")]
    return bool(beats) and all(beat["ready"] and beat["at"] > time.time() - 5 for beat in beats)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
