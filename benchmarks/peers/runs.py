"""One run of one program over the filled topic: what it cost, and whom it reminded."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT
from benchmarks.peers import topics
from benchmarks.peers.job import PARTITIONS, Reminder
from benchmarks.peers.meter import Meter
from state.instants import parse_instant

SECONDS_MAX = 240.0
STOP_SECONDS_MAX = 60.0
OURS = ("decisions", "messages", "deliveries", "dead-letters", "internal")


class Failed(RuntimeError):
    """A program did not do what it was started for; the message says where its log is."""


@dataclass(frozen=True)
class Course:
    """What is to be done: `events` in `topic`, of which the first `warm` are not counted."""

    servers: str
    topic: str
    events: int
    warm: int


@dataclass(frozen=True)
class Measured:
    """`events` were processed for `cpu_seconds`, from the end of the warm-up until everything was written."""

    events: int
    cpu_seconds: float
    reminders: Counter[Reminder] = field(repr=False)

    @property
    def per_cpu_second(self) -> float:
        return self.events / self.cpu_seconds


def run_peer(python: Path, module: str, variant: str, course: Course, folder: Path) -> Measured:
    """Run a peer's program to its end, in a new folder."""
    folder.mkdir(parents=True)
    name = folder.name
    topics.make(course.servers, f"reminders-{name}")
    told = {
        "servers": course.servers,
        "topic": course.topic,
        "reminders": f"reminders-{name}",
        "group": f"peer-{name}",
        "folder": str(folder),
        "events": course.events,
        "variant": variant,
    }
    with _started([str(python), "-m", module, json.dumps(told)], folder) as process, Meter(process.pid) as meter:
        try:
            code = process.wait(SECONDS_MAX)
        except subprocess.TimeoutExpired:
            raise Failed(f"not done within {SECONDS_MAX:.0f} s; see {folder / 'log'}") from None
    marks = _marks(folder / "marks")
    if not marks or marks[-1][1] < course.events:
        raise Failed(f"ended with {code} before everything was processed; see {folder / 'log'}")
    reminded = (json.loads(value) for value in topics.written(course.servers, f"reminders-{name}"))
    return _measured(marks, meter, course, Counter(Reminder(each["customer"], each["at"]) for each in reminded))


def run_impuls(client: str, course: Course, folder: Path) -> Measured:
    """A real `impuls run --only worker` on an empty data folder, until all is decided and published."""
    folder.mkdir(parents=True)
    config = folder / "impuls.toml"
    config.write_text(_configuration(folder, client, course))
    topics.make(course.servers, *OURS)
    before, ends = topics.ends(course.servers, *OURS), topics.ends(course.servers, course.topic)
    command = [sys.executable, "-c", "from flows.cli import main; main()", "run", "--only", "worker", "--config"]
    with _started([*command, str(config)], folder) as process, Meter(process.pid) as meter:
        marks = _follow(process, folder, {f"{tp.topic}/{tp.partition}": end for tp, end in ends.items()})
        process.send_signal(signal.SIGTERM)
        if process.wait(STOP_SECONDS_MAX) != 0:
            raise Failed(f"impuls run did not drain; see {folder / 'log'}")
    decisions = [json.loads(value) for value in topics.written(course.servers, "decisions", before)]
    sent = Counter(Reminder(each["customer"], parse_instant(each["at"])) for each in decisions if _is_sent(each))
    messages = len(topics.written(course.servers, "messages", before))
    if len(decisions) != sent.total() or messages != sent.total():
        raise Failed(f"{len(decisions)} decisions, {sent.total()} of them to send, and {messages} messages")
    return _measured(marks, meter, course, sent)


Marks = list[tuple[float, int]]  # at this wall time so many events were done


def _measured(marks: Marks, meter: Meter, course: Course, reminders: Counter[Reminder]) -> Measured:
    *before, (over_at, _) = marks
    if not before:
        raise Failed(f"{course.events} events are too few to be measured")
    # Of a short run there may be no mark between the warm-up and the end.
    warm_at, warm = next(((at, read) for at, read in before if read >= course.warm), before[-1])
    return Measured(course.events - warm, meter.used(over_at) - meter.used(warm_at), reminders)


def _marks(path: Path) -> Marks:
    lines = path.read_text().splitlines() if path.exists() else []
    return [(float(at), int(read)) for at, read in (line.split() for line in lines)]


def _follow(process: subprocess.Popen[bytes], folder: Path, ends: dict[str, int]) -> Marks:
    """What the worker says of itself once a second, until it has nothing left to do."""
    marks: Marks = [(time.time(), 0)]  # of few events it may be done when it tells for the first time
    deadline = time.monotonic() + SECONDS_MAX
    while True:
        beat = _beat(folder / "data" / "run" / "worker-0.json")
        if beat and beat["at"] > marks[-1][0]:
            marks.append((beat["at"], sum(beat["read"].get(name, 0) for name in ends)))
            reached = all(beat["watermarks"].get(name, 0) >= end for name, end in ends.items())
            # Only those who move the time on at the end still wait.
            woken = sum(beat["parked"].values()) <= PARTITIONS
            if reached and woken and beat["outbox"] == beat["in_flight"] == 0:
                return marks
        if process.poll() is not None or time.monotonic() > deadline:
            raise Failed(f"impuls run has ended, or did not get through; see {folder / 'log'}")
        time.sleep(0.05)


def _beat(path: Path) -> dict[str, Any]:
    try:
        beat: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return beat


def _is_sent(decision: dict[str, Any]) -> bool:
    return bool(decision["outcome"] == "send")


def _configuration(folder: Path, client: str, course: Course) -> str:
    """Guards as they come. Its cache holds all customers, as the peers' caches do; the clock is that of the log."""
    return f"""data_dir = "{folder}/data"
secret_file = "{folder}/secret"
source = "kafka"
clock = "replay"
flows = "benchmarks.peers.reminder_flow"
[log]
partitions = {PARTITIONS}
[kafka]
bootstrap_servers = "{course.servers}"
client = "{client}"
topics = ["{course.topic}"]
group = "impuls-{folder.name}"
[store]
customers_cached = 131072
[http]
listen = "none"
[metrics]
listen = "none"
"""


@contextmanager
def _started(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """In a session of its own, so that whatever it leaves behind can be ended with it."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("IMPULS_")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={**mine, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
