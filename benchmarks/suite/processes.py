"""How many events one, two and four worker processes work off of a log that is full already."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace

from benchmarks.live import Live
from benchmarks.load.generator import rush
from benchmarks.load.workloads import AMONG_PARKED, Mix
from benchmarks.reports.report import Measure
from benchmarks.suite.stage import Gathered, Stage
from flows import worker_doors as doors

COUNTS = (1, 2, 4)
GOAL = 1.7
SECONDS_MAX = 300.0
LOOK_SECONDS = 0.1
NO_MAILS = replace(AMONG_PARKED, mix=Mix(mail_every=0, carts=0.2, orders=0.02))


def processes(stage: Stage) -> Gathered:
    cores = len(os.sched_getaffinity(0))
    rates = {count: _rate(stage, count) for count in COUNTS}
    found = Gathered()
    for count, rate in rates.items():
        says = f"events a second that {count} worker process{'es' if count > 1 else ''} work off"
        measure = Measure(name=f"workers_{count}_events_a_second", says=says, unit="/s", better="more", values=[rate])
        found.measures.append(measure)
    for name, count in (("two_processes", 2), ("four_processes", 4)):
        found.measures.append(
            Measure(
                name=name,
                says=f"{count} worker processes over one, on {cores} cores",
                unit="times",
                better="more",
                values=[rates[count] / rates[1]],
                goal=GOAL if count == 2 else None,
                note="" if count <= cores else f"more processes than the {cores} cores",
            )
        )
    return found


def _rate(stage: Stage, count: int) -> float:
    """Events a second, by what the workers tell of how far they have read, but for their first and last word."""
    setup = stage.setup(f"workers-{count}", workers=count)
    doors.make_topics(settings := setup.write())
    load = stage.load(stage.scale.fill, f"fill-{count}", of=NO_MAILS, seconds=2.0)
    rush(settings, replace(load, rate=float(stage.scale.fill)), stage.scale.fill)
    live = Live(setup)
    live.start()
    try:
        told = _progress(live, stage.scale.fill)
    finally:
        live.end()
    shutil.rmtree(setup.folder)
    rate = slope(told)
    stage.tell(f"    {count} worker processes: {rate:,.0f} events a second")
    return rate


def _progress(live: Live, events: int) -> dict[str, list[tuple[float, int]]]:
    """When each worker told that it had read so many."""
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in live.workers}

    def is_done() -> bool:
        for name, told in found.items():
            beat = live.told(name)
            if beat.get("at", 0.0) >= live.started_at and (not told or beat["at"] > told[-1][0]):
                reads = beat.get("read", {}).items()
                told.append((beat["at"], sum(read for place, read in reads if place.startswith("clickstream/"))))
        return sum(told[-1][1] for told in found.values() if told) >= events

    live.wait(is_done, SECONDS_MAX, "done with a full log")
    time.sleep(LOOK_SECONDS)
    return found


def slope(told: dict[str, list[tuple[float, int]]]) -> float:
    """The sum of what each worker read a second while it was neither starting nor done."""
    rates = []
    for marks in told.values():
        last = marks[-1][1]
        during = [mark for mark in marks if 0 < mark[1] < last] or marks
        if len(during) < 2:
            during = [mark for mark in marks if mark[1] > 0 or mark is marks[0]]
        (first_at, first), (last_at, end) = during[0], during[-1]
        rates.append((end - first) / max(0.001, last_at - first_at))
    return sum(rates)
