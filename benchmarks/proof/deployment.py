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
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from config.settings import Settings
from flows import worker_doors as doors
from flows.supervisor_health import read_beat
from flows.worker_process import settings_for
from state.instants import format_instant
from state.records import TopicPartition, TopicSpec

ROOT = Path(__file__).resolve().parents[2]
IMPULS = [sys.executable, "-c", "from flows.cli import main; main()"]
READY_SECONDS_MAX = 300.0
STOP_SECONDS_MAX = 60.0
PORTS = range(20_000, 30_000)

NO_LIMITS = 'marketing_cap = "none"\nquiet_hours = "none"\nmin_gap = "none"'

Log = Literal["log", "kafka"]
Clock = Literal["live", "replay"]


class Failed(RuntimeError):
    """The deployment did not do what a proof needs; the message says where to look."""


@dataclass(frozen=True)
class Plan:
    """What is deployed.  `servers` is where Kafka is, when that is the log; `proxied` the same for `impuls run` alone.

    `guards` are lines of that section; `environment` is added to that of the processes.  `parked`
    customers have a cart each when it starts; see `benchmarks.parked`.
    """

    log: Log
    clock: Clock
    workers: int = 2
    couriers: int = 2
    shards: int = 64
    partitions: int = 8
    servers: str = ""
    proxied: str = ""
    guards: str = NO_LIMITS
    durability: Literal["process", "power"] = "process"
    smtp_timeout_seconds: float = 30.0
    flows: str = "benchmarks.proof.flows_proved"
    parked: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stopped:
    """How a polite stop went, and where the workers said that they were."""

    code: int
    seconds: float
    read: dict[str, int]


class Deployment:
    """`folder` is made anew.  `wall` is what the processes' clocks show."""

    def __init__(self, folder: Path, plan: Plan, smtp_port: int, *, wall: Callable[[], float] = time.time) -> None:
        self.folder, self.plan, self.wall = folder, plan, wall
        self.config = folder / "impuls.toml"
        self.said = folder / "impuls.jsonl"
        self.config.write_text(_configuration(folder, plan, smtp_port))
        self.settings = _ours(settings_for(str(self.config)), plan)
        self._run: subprocess.Popen[bytes] | None = None
        doors.make_topics(self.settings)
        if plan.log == "kafka":
            from connectors.kafka import create_topics

            specs = [TopicSpec(name, plan.partitions, 30) for name in doors.input_topics(self.settings)]
            create_topics(plan.servers, self.settings.kafka.security, specs)

    # -- starting and stopping

    def start(self, *, workers: int | None = None) -> None:
        """Start and wait until every worker has caught up with the results and every courier is there."""
        self.launch(workers=workers)
        self.await_ready()

    def launch(self, *, workers: int | None = None) -> None:
        """Start, and wait for nothing."""
        self.plan = replace(self.plan, workers=workers or self.plan.workers)
        command = [*IMPULS, "run", "--config", str(self.config)]
        command += ["--workers", str(self.plan.workers), "--couriers", str(self.plan.couriers)]
        with self.said.open("ab") as out:
            self._run = subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT, env=_environment(self.plan))

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

    def wait_for_end(self, seconds: float) -> int | None:
        """The exit code of an `impuls run` that ends by itself within the time; None for one that goes on."""
        assert self._run is not None
        try:
            code = self._run.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self._run = None
        return code

    def tell(self, number: signal.Signals) -> None:
        """Send `impuls run` itself a signal."""
        assert self._run is not None
        self._run.send_signal(number)

    @property
    def is_running(self) -> bool:
        return self._run is not None and self._run.poll() is None

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
        if any(beat.get("pid") != pids[name] or abs(self.wall() - beat["at"]) > 5 for name, beat in beats.items()):
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

    def signal_child(self, pid: int, number: signal.Signals) -> None:
        """A signal to one of the children, if it is still there."""
        with suppress(ProcessLookupError):
            os.kill(pid, number)

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
        ends: dict[str, int] = {}
        for beat in beats:
            ends |= beat.get("ends", {})
        marks = self._watermarks()
        return not self.has_backlog and all(marks.get(name, 0) >= end for name, end in ends.items())

    def await_applied(self) -> None:
        """Wait until every shard has applied all events that are in the log now."""
        reader = doors.open_reader(self.settings, "proof")
        try:
            partitions = doors.find_partitions(reader, doors.input_topics(self.settings))
            ends = {f"{tp.topic}/{tp.partition}": end for tp, end in reader.ends(partitions).items()}
        finally:
            reader.close()

        def is_applied() -> bool:
            marks = self._watermarks()
            return all(marks.get(name, 0) >= end for name, end in ends.items())

        self.wait(is_applied, READY_SECONDS_MAX, "done with what was there")

    @property
    def events_applied(self) -> int:
        """How many records of the event topics every shard has taken in, as the workers told last."""
        topics = doors.input_topics(self.settings)
        return sum(mark for name, mark in self._watermarks().items() if name.partition("/")[0] in topics)

    def _watermarks(self) -> dict[str, int]:
        marks: dict[str, int] = {}
        for number in range(self.plan.workers):
            for name, mark in self.beat(f"worker-{number}").get("watermarks", {}).items():
                marks[name] = min(mark, marks.get(name, mark))
        return marks

    @property
    def has_backlog(self) -> bool:
        """Whether something that was decided is not known to be in the log yet."""
        beats = [self.beat(f"worker-{number}") for number in range(self.plan.workers)]
        return any(beat.get("outbox") != 0 or beat.get("in_flight") != 0 for beat in beats)

    def starts(self) -> dict[str, int]:
        """Where the workers that were started last began to read."""
        place = json.loads((self.settings.data_dir / "run" / "place-0.json").read_bytes())
        return {f"{topic}/{partition}": offset for topic, partition, offset, _ in place["starts"]}

    # -- shards

    def copy_shards(self, chance: random.Random, count: int) -> list[int]:
        """Put some shards aside, keys left where they are.  Only while nothing runs."""
        numbers = sorted(chance.sample(range(self.plan.shards), count))
        for number in numbers:
            shutil.copytree(self.shard(number), self.folder / "aside" / f"{number:03}")
        return numbers

    def put_back(self, numbers: list[int]) -> None:
        """Put those shards back as they were.  Only while nothing runs."""
        for number in numbers:
            shutil.rmtree(self.shard(number))
            shutil.move(self.folder / "aside" / f"{number:03}", self.shard(number))

    def shard(self, number: int) -> Path:
        return self.settings.data_dir / "shards" / f"{number:03}"

    # -- what came of it

    def decisions_in_store(self, since: int = 0) -> list[bytes]:
        """What `impuls decisions --json` shows, from this moment (ms) on.  Raises `Failed`."""
        return self.impuls("decisions", "--json", "--since", format_instant(since)).splitlines()

    def impuls(self, *arguments: str) -> bytes:
        """What a command says.  Raises `Failed`."""
        command = [*IMPULS, *arguments, "--config", str(self.config)]
        done = subprocess.run(command, capture_output=True, cwd=ROOT, env=_environment(self.plan), check=False)
        if done.returncode:
            raise Failed(f"impuls {' '.join(arguments)} ended with {done.returncode}: {done.stderr.decode()[-600:]}")
        return done.stdout

    def said_since(self, place: int) -> list[dict[str, Any]]:
        """What the processes logged from this byte on; a line that is no JSON as `event`."""
        with self.said.open("rb") as said:
            said.seek(place)
            return [_line(raw) for raw in said.read().splitlines() if raw]

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
flows = "{plan.flows}"
source = "{plan.log}"
clock = "{plan.clock}"
shards = {plan.shards}
durability = "{plan.durability}"
[start]
at = "earliest"
[log]
partitions = {plan.partitions}
[kafka]
bootstrap_servers = "{plan.proxied or plan.servers or "127.0.0.1:19092"}"
[guards]
{plan.guards}
[store]
retention_days = 3650
[smtp]
port = {smtp_port}
timeout_seconds = {plan.smtp_timeout_seconds}
[http]
listen = "none"
[metrics]
listen = "none"
"""


def free_ports(count: int = 2) -> int:
    """The first of so many free ports in a row, below those that systems give to outgoing connections."""
    while True:
        first = random.choice(PORTS)
        with ExitStack() as held:
            try:
                for port in range(first, first + count):
                    held.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            return first


def _ours(settings: Settings, plan: Plan) -> Settings:
    """The same, with the way to Kafka that nobody disturbs."""
    if not plan.servers:
        return settings
    return replace(settings, kafka=replace(settings.kafka, bootstrap_servers=plan.servers))


def _environment(plan: Plan) -> dict[str, str]:
    mine = {name: value for name, value in os.environ.items() if not name.startswith("IMPULS_")}
    return {**mine, "PYTHONPATH": str(ROOT), **plan.environment}


def _line(raw: bytes) -> dict[str, Any]:
    try:
        line = json.loads(raw)
    except ValueError:
        line = None
    return line if isinstance(line, dict) else {"event": raw.decode(errors="replace")}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has just ended
        return b""


def _name(cmdline: Path) -> str:
    words = _read(cmdline).split(b"\0")  # what the process was told, and nothing
    if b"flows.worker" in words:
        return Path(json.loads(words[-2])["place"]).stem.replace("place", "worker")
    if b"flows.courier" in words:
        return f"courier-{json.loads(words[-2])['courier']}"
    return ""
