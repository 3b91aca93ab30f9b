"""A real `impuls run` to be measured, in a folder of its own: supervisor, workers and couriers, each a process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from config.load import load
from config.settings import Settings
from flows import worker_doors as doors
from state.records import TopicPartition

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS_MAX = 180.0
SETTLE_SECONDS_MAX = 120.0
STOP_SECONDS_MAX = 60.0
LOOK_SECONDS = 0.05
LAST_WORDS = 5  # lines
# Quiet hours would put the mails off that are to be timed; the doors and the learner are not part of what is measured.
OURS = {
    "GUARDS__QUIET_HOURS": "none",
    "HTTP__LISTEN": "none",
    "METRICS__LISTEN": "none",
    "RECOMMENDER__ENABLED": "false",
}


class NotReady(RuntimeError):
    """`impuls run` ended or did not come up; the message has the last it said, since its log goes with the folder."""


@dataclass(frozen=True)
class Use:
    """What a process has used: CPU seconds so far, resident memory now and at most (MiB)."""

    cpu_seconds: float
    rss_mib: float
    rss_mib_max: float


@dataclass(frozen=True)
class Setup:
    """How Impuls is set up in `folder`.

    `config` is somebody's own impuls.toml, `altered` are settings by their full names (`store.cache_mib`); where it
    keeps its data, its mail server and the doors are the harness's.
    """

    folder: Path
    smtp_port: int
    altered: Mapping[str, str] = field(default_factory=dict)
    config: Path | None = None
    smtp_host: str = "127.0.0.1"
    workers: int = 1
    couriers: int = 1

    @property
    def file(self) -> Path:
        return self.folder / "impuls.toml"

    def write(self) -> Settings:
        """Raises `ConfigError` with all that is wrong with it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = self.config.read_text() if self.config is not None else "# All that differs stands in the environment.\n"
        self.file.write_text(text)
        return load(self.file, self.environment())

    def environment(self) -> dict[str, str]:
        """Of `impuls run`: the tree that runs the benchmark is the one that is measured."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith("IMPULS_")}
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        ours = {
            **OURS,
            **{name.upper().replace(".", "__"): value for name, value in self.altered.items()},
            "DATA_DIR": str(self.folder / "data"),
            "SECRET_FILE": str(self.folder / "secret"),
            "SMTP__HOST": self.smtp_host,
            "SMTP__PORT": str(self.smtp_port),
        }
        return {**mine, "PYTHONPATH": paths, **{f"IMPULS_{name}": value for name, value in ours.items()}}


@contextmanager
def data_folder() -> Iterator[Path]:
    """On the disk the project is on, or where one stands: a folder in memory would flatter."""
    parent = (ROOT if (ROOT / "pyproject.toml").exists() else Path.cwd()) / ".local"
    parent.mkdir(exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=parent, prefix="bench-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


class Live:
    """`impuls run` from entering to leaving; on leaving it is asked to drain."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.settings: Settings = setup.write()
        self.workers = [f"worker-{number}" for number in range(setup.workers)]
        self.processes = [*self.workers, *(f"courier-{number}" for number in range(setup.couriers))]
        self.ended_well = False
        self.started_at = 0.0  # wall seconds

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait(lambda: self.is_ready, READY_SECONDS_MAX, "ready")
        except BaseException:  # Ctrl-C and SIGTERM too: nobody else would end it
            self.end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def start(self) -> None:
        """Start it and wait for nothing."""
        counts = ["--workers", str(self.setup.workers), "--couriers", str(self.setup.couriers)]
        code = "from flows.cli import main; main()"
        command = [sys.executable, "-c", code, "run", "--config", str(self.setup.file), *counts]
        self._log = (self.setup.folder / "impuls.log").open("ab")
        self.started_at = time.time()
        self._process = subprocess.Popen(command, stderr=self._log, env=self.setup.environment())

    def ensure_started(self) -> None:
        """Start it when it does not run, and wait until it is ready."""
        if self._process.poll() is not None:
            self.start()
        self.wait(lambda: self.is_ready, READY_SECONDS_MAX, "ready")

    def kill(self) -> None:
        """`kill -9`; its children die with it."""
        pids = [self.told(name).get("pid", 0) for name in self.processes]
        self._process.kill()
        self._process.wait()
        self._log.close()
        deadline = time.monotonic() + STOP_SECONDS_MAX
        while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)

    def end(self) -> None:
        """SIGTERM, and wait until it has drained."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self.ended_well = self._process.wait(STOP_SECONDS_MAX) == 0
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def wait(self, until: Callable[[], bool], seconds: float, what: str) -> None:
        """Raises `NotReady` when the time is over, or `impuls run` has ended."""
        deadline = time.monotonic() + seconds
        while not until():
            if self._process.poll() is not None:
                raise NotReady(f"`impuls run` ended by itself. {self._last_words()}")
            if time.monotonic() > deadline:
                raise NotReady(f"`impuls run` was not {what} within {seconds:.0f} s. {self._last_words()}")
            time.sleep(LOOK_SECONDS)

    def _last_words(self) -> str:
        said = Path(self._log.name).read_text(errors="replace").splitlines()[-LAST_WORDS:]
        return "\n  ".join(("The last it said:", *said)) if said else "It said nothing."

    # -- what the processes tell once a second, or /proc tells of them

    @property
    def is_ready(self) -> bool:
        told = {name: self.told(name) for name in self.processes}
        fresh = all(each.get("at", 0.0) >= self.started_at for each in told.values())
        return fresh and all(told[name].get("ready") for name in self.workers)

    def settle(self, seconds: float = SETTLE_SECONDS_MAX) -> None:
        """Wait until all that is in the inputs now is worked off, and what was decided by it is on its way."""
        since, ends = time.time(), self._ends()
        self.wait(lambda: self._has_settled(ends, since), seconds, "done with what is in the log")

    def await_end(self, seconds: float) -> None:
        """Wait until all that is in the inputs now is taken in; within a second of when it is, as the workers tell."""
        ends = self._ends()
        self.wait(lambda: self._has_read(ends), seconds, "done with what is in the log")

    def _ends(self) -> dict[TopicPartition, int]:
        reader = doors.open_reader(self.settings, "benchmark")
        try:
            return reader.ends(doors.find_partitions(reader, doors.input_topics(self.settings)))
        finally:
            reader.close()

    def _has_settled(self, ends: Mapping[TopicPartition, int], since: float) -> bool:
        """As the workers have told since this moment (wall, seconds)."""
        told = [self.told(name) for name in self.workers]
        if not all(each.get("at", 0.0) > since and each["outbox"] == each["in_flight"] == 0 for each in told):
            return False
        marks: dict[str, int] = {}
        for each in told:
            for place, mark in each["watermarks"].items():
                marks[place] = min(mark, marks.get(place, mark))
        return all(marks.get(f"{tp.topic}/{tp.partition}", 0) >= end for tp, end in ends.items())

    def _has_read(self, ends: Mapping[TopicPartition, int]) -> bool:
        reads: dict[str, int] = {}
        for name in self.workers:
            for place, read in self.told(name).get("read", {}).items():
                reads[place] = max(read, reads.get(place, read))
        return all(reads.get(f"{tp.topic}/{tp.partition}", 0) >= end for tp, end in ends.items())

    def use(self, process: str) -> Use:
        """Of `worker-0`, `courier-0`, …"""
        pid = self.told(process)["pid"]
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        rss, most = (int(status[field].split()[0]) / 1024 for field in ("VmRSS", "VmHWM"))
        return Use((int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"), rss, most)

    def parked(self) -> int:
        """How many customers rest at a wait."""
        return sum(sum(self.told(name).get("parked", {}).values()) for name in self.workers)

    def told(self, process: str) -> dict[str, Any]:
        try:
            told: dict[str, Any] = json.loads((self.settings.data_dir / "run" / f"{process}.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return told
