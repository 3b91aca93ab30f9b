"""`make bench-scale`: cost of an event, p99, memory and disk, from ten thousand customers at a wait to ten million.

Ends with one line `RESULT {json}`.  What each number means: docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import bench
from benchmarks.ending import end_in_order
from benchmarks.figures import median
from benchmarks.live import ROOT, Live, data_folder
from benchmarks.load.generator import rush
from benchmarks.load.plans import Load
from benchmarks.load.workloads import AMONG_PARKED, Mix
from benchmarks.machine import described
from benchmarks.parked import Crowd, park
from benchmarks.repetition import Repetition, repeat
from benchmarks.reports.report import Measure
from benchmarks.sink import Sink
from benchmarks.suite.restart import size_mib
from benchmarks.suite.stage import SHORT, Gathered, Stage, doubts, percentile_measures

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
BYTES_A_CUSTOMER = 700
HEADROOM = 2.0
RATE = 500.0
RUSH_SECONDS_MAX = 600.0
P99_RATIO, COST_RATIO, RSS_MIB = 1.5, 2.0, 2048.0
QUIET = replace(AMONG_PARKED, mix=Mix(mail_every=0, carts=0.2, orders=0))


@dataclass(frozen=True)
class Size:
    """What was found with so many customers at a wait.  `cost_us`: CPU of the worker for an event of a full log."""

    customers: int
    repetitions: list[Repetition]
    cost_us: float
    rss_mib: float
    disk_mib: int
    parked_seconds: float
    start_seconds: float

    @property
    def p99(self) -> float:
        return median([each.p(0.99) for each in self.repetitions])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="numbers of customers, with commas between")
    parser.add_argument("--rush", type=int, default=100_000, help="events of a full log that cost is measured with")
    parser.add_argument("--seconds", type=float, default=6.0, help="of a repetition")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--rate", type=float, default=RATE, help="events a second")
    parser.add_argument("--out", type=Path, default=ROOT / ".local" / "bench" / "scale.json", help="the report")
    asked = parser.parse_args(arguments)
    sizes = sorted(int(each) for each in asked.sizes.split(","))
    began = time.monotonic()
    print("\n".join(described()), flush=True)
    found, done = Gathered(), []
    with data_folder() as folder, Sink() as sink:
        print(f"one worker, one courier, embedded log; mail server: {sink.what}, same machine")
        for customers in sizes:
            if fault := lacks_room(folder, customers):
                print(fault)
                found.warnings.append(fault)
                continue
            stage = Stage(folder, sink.port, SHORT, _tell)
            done.append(measure(stage, customers, asked.rush, asked.rate, asked.seconds, asked.repeat))
            found += of_size(done[-1])
    found += compared(done)
    bench.write(found, "From ten thousand customers to ten million", "All of them at a wait.", asked.out)
    print("\n".join(bench.verdicts(found)))
    print(f"\n{time.monotonic() - began:.0f} seconds in all; the report: {asked.out}, as a page beside it (.html)")
    print("RESULT " + json.dumps(result(done, found)))
    return 0


def _tell(text: str) -> None:
    print(text, flush=True)


def lacks_room(folder: Path, customers: int) -> str:
    """Why so many customers do not fit on this disk; empty when they do."""
    needed, free = HEADROOM * customers * BYTES_A_CUSTOMER, shutil.disk_usage(folder).free
    if needed < free:
        return ""
    return (
        f"{customers:,} customers: not measured, they may take {needed / 2**30:.0f} GiB and {folder} has "
        f"{free / 2**30:.0f} GiB free. Make room, or choose fewer with --sizes."
    )


def measure(stage: Stage, customers: int, events: int, rate: float, seconds: float, times: int) -> Size:
    """Park them, start, work off a full log, then measure the latency of a load; the folder is gone afterwards."""
    setup = stage.setup(f"parked-{customers}")
    loads, agreed = [], 0
    for number in range(times):
        warm_seconds = 0.0 if number else 2.0
        load = Load(AMONG_PARKED, rate, customers, seconds, warm_seconds, number, f"s{number}", 1, agreed)
        agreed += load.agreeing
        loads.append(load)
    took = park(setup.write(), Crowd(customers, min(customers, agreed), round(time.time() * 1000)))
    stage.tell(f"\n{customers:,} customers parked in {took:.0f} s")
    began = time.monotonic()
    with Live(setup) as live:
        started = time.monotonic() - began
        cost = cost_of_an_event(live, replace(loads[0], workload=QUIET, rate=1e6, seconds=10.0, run="cost"), events)
        stage.tell(f"  ready after {started:.1f} s; an event of a full log costs {cost:.0f} µs of CPU")
        done = []
        for load in loads:
            done.append(repeat(live.settings, load, live))
            stage.told(done[-1])
        rss, parked = live.use("worker-0").rss_mib_max, live.parked()
    disk = size_mib(setup)
    stage.tell(f"  {rss:,.0f} MiB resident at most, {disk:,} MiB on disk, {parked:,} still at their wait")
    shutil.rmtree(setup.folder)
    return Size(customers, done, cost, rss, disk, took, started)


def cost_of_an_event(live: Live, load: Load, events: int) -> float:
    """CPU microseconds of the worker for each of so many events of random customers that were in the log already."""
    rush(live.settings, load, events // 5)  # fills the caches, as far as they go
    live.settle(RUSH_SECONDS_MAX)
    before = live.use("worker-0").cpu_seconds
    rush(live.settings, replace(load, seed=load.seed + 1, run=f"{load.run}-2"), events)
    live.await_end(RUSH_SECONDS_MAX)
    return 1e6 * (live.use("worker-0").cpu_seconds - before) / events


def of_size(size: Size) -> Gathered:
    at = f"{size.customers:,} customers at a wait"
    prefix = f"parked_{size.customers}"
    measures = list(percentile_measures(prefix, f"append → accepted, {at}", size.repetitions))
    for name, says, unit, value in (
        ("cost_us", "CPU time of the worker for an event of a full log", "µs", size.cost_us),
        ("rss_mib", "resident memory of the worker, at most", "MiB", size.rss_mib),
        ("disk_mib", "stores and keys on disk", "MiB", float(size.disk_mib)),
        ("start_s", "from the start until it is ready", "s", size.start_seconds),
    ):
        goal = RSS_MIB if name == "rss_mib" and size.customers == SIZES[-1] else None
        measures.append(Measure(name=f"{prefix}_{name}", says=f"{says}, {at}", unit=unit, values=[value], goal=goal))
    return Gathered(measures, warnings=doubts(at, size.repetitions))


def compared(done: list[Size]) -> Gathered:
    """What grows with the number of customers, as ratios."""
    found = Gathered()
    if len(done) < 2:
        return found
    few, many = done[0], done[-1]
    base = next((size for size in done if size.customers >= 100_000 or size is many), few)
    for name, says, value, goal in (
        (
            "p99_ratio",
            f"p99 with {many.customers:,} at a wait over that with {few.customers:,}",
            many.p99 / few.p99,
            P99_RATIO,
        ),
        (
            "cost_ratio",
            f"cost of an event with {many.customers:,} customers over that with {base.customers:,}",
            many.cost_us / base.cost_us,
            COST_RATIO,
        ),
    ):
        found.measures.append(Measure(name=name, says=says, unit="times", values=[value], goal=goal))
    return found


def result(done: list[Size], found: Gathered) -> dict[str, object]:
    sizes = {
        str(size.customers): {
            "p99_ms": round(size.p99, 2),
            "cost_us": round(size.cost_us, 1),
            "rss_mib": round(size.rss_mib),
            "disk_mib": size.disk_mib,
        }
        for size in done
    }
    ratios = {each.name: round(each.median, 3) for each in found.measures if each.unit == "times"}
    return {"sizes": sizes, **ratios, "missed": [each.name for each in found.measures if each.reached is False]}


if __name__ == "__main__":
    end_in_order()
    sys.exit(main())
