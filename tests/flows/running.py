"""`impuls run` as a process of its own on the embedded log, and what can be seen of it from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config import Settings, load
from flows import worker_doors as doors
from flows.cli.dead_letters import letters
from state.dead_letters import DeadLetter
from state.records import Record, TopicPartition
from tests.flows.commands import ROOT, Ended, asked


def until(holds: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Look until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)


@dataclass(frozen=True)
class Running:
    """A worker under its supervisor, its configuration, and where its log lines go."""

    config: Path
    process: subprocess.Popen[bytes]
    path: Path

    @property
    def settings(self) -> Settings:
        return load(self.config, {})

    def impuls(self, *arguments: str) -> Ended:
        return asked(*arguments, "--config", self.config, path=self.path, cwd=self.config.parent)

    def beat(self) -> dict[str, Any]:
        """What the worker says of itself."""
        try:
            told: dict[str, Any] = json.loads((self.settings.data_dir / "run" / "worker-0.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return told

    def told(self) -> list[dict[str, Any]]:
        """The log lines so far."""
        lines = (self.config.parent / "log.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def append(self, topic: str, rows: Sequence[tuple[bytes | None, bytes]]) -> None:
        writer = doors.open_writer(self.settings)
        try:
            for key, value in rows:
                while not writer.send(topic, key, value):
                    writer.wait(0.01)
            assert writer.flush(60)
        finally:
            writer.close()

    def records(self, topic: str) -> list[tuple[TopicPartition, Record]]:
        """All that is in a topic."""
        reader = doors.open_reader(self.settings, "test")
        try:
            partitions = [TopicPartition(topic, partition) for partition in reader.partitions(topic)]
            positions, ends = reader.beginnings(partitions), reader.ends(partitions)
            reader.assign(positions)
            found: list[tuple[TopicPartition, Record]] = []
            while any(positions[tp] < ends[tp] for tp in partitions):
                for fetched in reader.poll(5_000):
                    tp = TopicPartition(fetched.topic, fetched.partition)
                    positions[tp] = fetched.end
                    found += [(tp, record) for record in fetched.records]
            return found
        finally:
            reader.close()

    def decisions(self) -> list[dict[str, Any]]:
        return [json.loads(record.value or b"") for _, record in self.records("decisions")]

    def dead_letters(self) -> list[DeadLetter]:
        return list(letters(self.settings))


@contextmanager
def running(folder: Path, flows: str = "flows", path: Path | None = None, more: str = "") -> Iterator[Running]:
    """A worker that is ready; asked to end afterwards, which must go well."""
    config = folder / "impuls.toml"
    config.write_text(
        f'data_dir = "{folder}/data"\nsecret_file = "{folder}/data/secret"\nflows = "{flows}"\nshards = 8\n'
        '[log]\npartitions = 3\n[guards]\nmarketing_cap = "none"\nquiet_hours = "none"\n'
        f'[metrics]\nlisten = "none"\n{more}'
    )
    modules = os.pathsep.join(str(each) for each in (ROOT, path or folder))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("IMPULS_")}
    with (folder / "log.jsonl").open("wb") as out:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", "from flows.cli import main; main()"),
                *("run", "--only", "worker", "--config", str(config)),
            ],
            stdout=out,
            stderr=out,
            cwd=folder,
            env={**inherited, "PYTHONPATH": modules},
        )
    worker = Running(config, process, path or folder)
    try:
        until(lambda: process.poll() is not None or bool(worker.beat().get("ready")), "the worker is ready")
        assert process.poll() is None, (folder / "log.jsonl").read_text()[-3000:]
        yield worker
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
