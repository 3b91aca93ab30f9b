"""A deployment under proof: a real `impuls run` in a folder of its own, its children, and what they tell."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from config.settings import Settings
from flows import worker_doors as doors
from flows.supervisor_health import read_beat
from flows.worker_process import settings_for
from state.records import TopicPartition, TopicSpec

ROOT = Path(__file__).resolve().parents[2]
IMPULS = [sys.executable, "-c", "from flows.cli import main; main()"]
READY_SECONDS_MAX = 300.0
STOP_SECONDS_MAX = 60.0

Log = Literal["log", "kafka"]
Clock = Literal["live", "replay"]


class Failed(RuntimeError):
    """The deployment did not do what a proof needs; the message says where to look."""


@dataclass(frozen=True)
class Plan:
    """What is deployed.  `servers` is where Kafka is, when that is the log."""

    log: Log
    clock: Clock
    workers: int = 2
    couriers: int = 2
    shards: int = 64
    partitions: int = 8
    servers: str = ""


@dataclass(frozen=True)
class Stopped:
    """How a polite stop went, and where the workers said that they were."""

    code: int
    seconds: float
    read: dict[str, int]


class Deployment:
    """`folder` is made anew."""

    def __init__(self, folder: Path, plan: Plan, smtp_port: int) -> None:
        self.folder, self.plan = folder, plan
        self.config = folder / "impuls.toml"
        self.said = folder / "impuls.jsonl"
        self.config.write_text(_configuration(folder, plan, smtp_port))
        self.settings: Settings = settings_for(str(self.config))
        self._run: subprocess.Popen[bytes] | None = None
        doors.make_topics(self.settings)
        if plan.log == "kafka":
            from connectors.kafka import create_topics

            specs = [TopicSpec(name, plan.partitions, 30) for name in doors.input_topics(self.settings)]
            create_topics(plan.servers, self.settings.kafka.security, specs)

    # -- starting and stopping

    def start(self) -> None:
        """Start and wait until every worker has caught up with the results and every courier is there."""
        command = [*IMPULS, "run", "--config", str(self.config)]
        command += ["--workers", str(self.plan.workers), "--couriers", str(self.plan.couriers)]
        with self.said.open("ab") as out:
            self._run = subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT, env=_environment())
        self.await_ready()

    def await_ready(self) -> None:
        self.wait(lambda: self.ready, READY_SECONDS_MAX, "ready again")

    def wait(self, until: Callable[[], bool], seconds: float, what: str) -> None:
        """Raises `Failed` when the time is over, or `impuls run` has ended."""
        deadline = time.monotonic() + seconds
        while not until():
            if self._run is None or self._run.poll() is not None:
                raise Failed(f"impuls run has ended; see {self.said}")
            if time.monotonic() > deadline:
                raise Failed(f"not {what} within {seconds:.0f} seconds; see {self.said}")
            time.sleep(0.05)

    def stop(self) -> Stopped:
        """SIGTERM, and wait."""
        assert self._run is not None
        began = time.monotonic()
        self._run.send_signal(signal.SIGTERM)
        try:
            code = self._run.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.end()
            raise Failed(f"SIGTERM did not end impuls run within {STOP_SECONDS_MAX:.0f} s; see {self.said}") from None
        self._run = None
        read: dict[str, int] = {}
        for number in range(self.plan.workers):
            read |= self.beat(f"worker-{number}").get("read", {})
        return Stopped(code, time.monotonic() - began, read)

    def end(self) -> None:
        """Whatever it takes; for the way out after a fault."""
        if self._run is not None:
            self._run.kill()  # its children die with it
            self._run.wait()
            self._run = None

    # -- the children

    @property
    def names(self) -> list[str]:
        workers = [f"worker-{number}" for number in range(self.plan.workers)]
        return workers + [f"courier-{number}" for number in range(self.plan.couriers)]

    @property
    def ready(self) -> bool:
        """Whether all are there, and tell so themselves since they were started."""
        pids = self.pids()
        if not set(self.names) <= pids.keys():
            return False
        beats = {name: self.beat(name) for name in self.names}
        if any(beat.get("pid") != pids[name] or time.time() - beat["at"] > 5 for name, beat in beats.items()):
            return False
        return all(beat.get("ready") for name, beat in beats.items() if name.startswith("worker"))

    def pids(self) -> dict[str, int]:
        """The children of `impuls run` by name."""
        assert self._run is not None
        found: dict[str, int] = {}
        tasks = Path(f"/proc/{self._run.pid}/task")
        for children in tasks.glob("*/children"):
            for pid in _read(children).split():
                name = _name(Path(f"/proc/{pid.decode()}/cmdline"))
                if name:
                    found[name] = int(pid)
        return found

    def kill(self, name: str) -> bool:
        """`kill -9` one of the children, and wait until it is dead; whether it was there."""
        pid = self.pids().get(name)
        if pid is None:
            return False
        os.kill(pid, signal.SIGKILL)
        self.wait(lambda: self.pids().get(name) != pid, READY_SECONDS_MAX, f"rid of {name}")
        return True

    def beat(self, name: str) -> dict[str, Any]:
        return read_beat(self.settings.data_dir / "run", name)

    def resident_mib(self) -> dict[str, float]:
        """Resident memory of each child."""
        found = {}
        for name, pid in self.pids().items():
            for line in _read(Path(f"/proc/{pid}/status")).splitlines():
                if line.startswith(b"VmRSS:"):
                    found[name] = int(line.split()[1]) / 1024
        return found

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way: all is read, and all that was decided is in the log."""
        beats = [self.beat(f"worker-{number}") for number in range(self.plan.workers)]
        marks: dict[str, int] = {}
        ends: dict[str, int] = {}
        for beat in beats:
            ends |= beat.get("ends", {})
            for name, mark in beat.get("watermarks", {}).items():
                marks[name] = min(mark, marks.get(name, mark))
        quiet = all(beat.get("outbox") == 0 and beat.get("in_flight") == 0 for beat in beats)
        return quiet and all(marks.get(name, 0) >= end for name, end in ends.items())

    def starts(self) -> dict[str, int]:
        """Where the workers that were started last began to read."""
        place = json.loads((self.settings.data_dir / "run" / "place-0.json").read_bytes())
        return {f"{topic}/{partition}": offset for topic, partition, offset, _ in place["starts"]}

    # -- shards

    def copy_shards(self, chance: random.Random, count: int) -> list[int]:
        """Put some shards aside, keys left where they are.  Only while nothing runs."""
        numbers = sorted(chance.sample(range(self.plan.shards), count))
        for number in numbers:
            shutil.copytree(self._shard(number), self.folder / "aside" / f"{number:03}")
        return numbers

    def put_back(self, numbers: list[int]) -> None:
        """Put those shards back as they were.  Only while nothing runs."""
        for number in numbers:
            shutil.rmtree(self._shard(number))
            shutil.move(self.folder / "aside" / f"{number:03}", self._shard(number))

    def _shard(self, number: int) -> Path:
        return self.settings.data_dir / "shards" / f"{number:03}"

    # -- what came of it

    def decisions_in_store(self) -> list[bytes]:
        """What `impuls decisions --json` shows."""
        command = [*IMPULS, "decisions", "--json", "--config", str(self.config)]
        done = subprocess.run(command, capture_output=True, cwd=ROOT, env=_environment(), check=True)
        return done.stdout.splitlines()

    def records(self, topic: str) -> list[bytes]:
        """All that is in a topic of ours."""
        reader = doors.open_reader(self.settings, "proof")
        partitions = [TopicPartition(topic, partition) for partition in reader.partitions(topic)]
        positions, ends = reader.beginnings(partitions), reader.ends(partitions)
        reader.assign(positions)
        found: list[bytes] = []
        deadline = time.monotonic() + 60
        while any(positions[tp] < ends[tp] for tp in partitions):
            if time.monotonic() > deadline:
                raise Failed(f"topic {topic} could not be read to its end within a minute")
            reader.wait(0.1)
            for fetched in reader.poll(5_000):
                positions[TopicPartition(fetched.topic, fetched.partition)] = fetched.end
                found += [record.value for record in fetched.records if record.value is not None]
        reader.close()
        return found


def _configuration(folder: Path, plan: Plan, smtp_port: int) -> str:
    return f"""# A proof: guards off, so that an oracle can tell what must be decided.
data_dir = "{folder}/data"
secret_file = "{folder}/secret"
source = "{plan.log}"
clock = "{plan.clock}"
shards = {plan.shards}
[log]
partitions = {plan.partitions}
[kafka]
bootstrap_servers = "{plan.servers or "127.0.0.1:19092"}"
[guards]
marketing_cap = "none"
quiet_hours = "none"
min_gap = "none"
[smtp]
port = {smtp_port}
[http]
listen = "none"
[metrics]
listen = "none"
"""


def free_ports() -> int:
    """A port that is free, as the next one is."""
    while True:
        with socket.socket() as one, socket.socket() as next_one:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            if next_one.connect_ex(("127.0.0.1", port + 1)):
                return port


def _environment() -> dict[str, str]:
    mine = {name: value for name, value in os.environ.items() if not name.startswith("IMPULS_")}
    return {**mine, "PYTHONPATH": str(ROOT)}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has just ended
        return b""


def _name(cmdline: Path) -> str:
    words = _read(cmdline).split(b"\0")
    if b"flows.worker" in words:
        return Path(json.loads(words[3])["place"]).stem.replace("place", "worker")
    if b"flows.courier" in words:
        return f"courier-{json.loads(words[3])['courier']}"
    return ""
