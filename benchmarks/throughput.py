"""How many events one worker of `impuls replay` takes in per CPU-second: the full job, from lines to decisions.

Two jobs: `SPINE`, the two flows that are measured in every version, so that two versions can be compared, and
`ALL`, whatever flows ship.

What counts is the CPU time of the whole process, RocksDB's threads included, from the first line to the merged
`decisions.jsonl`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from benchmarks.children import in_child
from benchmarks.layers import Layers
from flows.cli_replay import CONSTANT_SECRET, Played, Replay, replay
from flows.imports import import_events, write_file
from flows.worker_process import settings_for

SLICES = 10
SPINE, ALL = "benchmarks.spine_flows", "flows"


@dataclass(frozen=True)
class Throughput:
    """`slices`: events per CPU-second of each tenth of the stream, in order."""

    events: int
    decisions: int
    dead_letters: int
    cpu_seconds: float
    wall_seconds: float
    slices: list[float]

    @property
    def events_per_cpu_second(self) -> float:
        return self.events / self.cpu_seconds


def measure(stream: Path, events: int, out: Path, flows: str = ALL) -> Throughput:
    """Replay a stream of so many events in a process of its own."""
    return in_child(_measured, stream, events, out, flows)


def layers(stream: Path, out: Path, flows: str = ALL) -> Layers:
    """Where the time of a replay goes, in a run apart: looking costs time, too."""
    return in_child(_sampled, stream, out, flows)


def _measured(stream: Path, events: int, out: Path, flows: str) -> Throughput:
    marks = [(0, time.process_time())]

    def progress(read: int) -> None:
        if read * SLICES >= events * len(marks) and read > marks[-1][0]:
            marks.append((read, time.process_time()))

    began_cpu, began = time.process_time(), time.perf_counter()
    played = _replay(stream, out, flows, progress)
    cpu, wall = time.process_time() - began_cpu, time.perf_counter() - began
    slices = [(b[0] - a[0]) / (b[1] - a[1]) for a, b in pairwise(marks) if b[1] > a[1]]
    return Throughput(played.events, played.decisions, played.dead_letters, cpu, wall, slices)


def _sampled(stream: Path, out: Path, flows: str) -> Layers:
    with Layers() as found:
        _replay(stream, out, flows)
    return found.summed()


def _replay(stream: Path, out: Path, flows: str, progress: Callable[[int], None] | None = None) -> Played:
    settings = replace(settings_for(None), flows=flows)
    plan = Replay((stream,), out, settings, CONSTANT_SECRET)
    try:
        return replay(plan, progress)
    finally:
        shutil.rmtree(out, ignore_errors=True)


def retailrocket() -> Path | None:
    """The Retailrocket data set, where IMPULS_DATA names a folder that has it."""
    folder = os.environ.get("IMPULS_DATA")
    path = Path(folder) / "retailrocket_events.csv.gz" if folder else None
    return path if path is not None and path.is_file() else None


def write_retailrocket(source: Path, to: Path) -> int:
    """Import it with consent; how many events."""
    return write_file(to, import_events("retailrocket", [str(source)], consent=True))
