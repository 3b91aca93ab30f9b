"""From the start of `impuls run` to its first mail, with a gigabyte of state; after a polite stop and after kill -9."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.live import Live, Setup
from benchmarks.load.generator import rush
from benchmarks.load.plans import Load
from benchmarks.load.workloads import AMONG_PARKED
from benchmarks.parked import Crowd, park
from benchmarks.reports.report import Measure
from benchmarks.suite.stage import Gathered, Stage
from benchmarks.watch import Watch

BYTES_A_CUSTOMER = 1_500  # described ones, store and keys together
FIRST_SECONDS_MAX = 120.0
GOAL_SECONDS = 3.0


def restart(stage: Stage) -> Gathered:
    setup = stage.setup("restart")
    customers = (stage.scale.state_mib << 20) // BYTES_A_CUSTOMER
    times = stage.scale.repetitions
    crowd = Crowd(customers, min(customers, 10 * times), round(time.time() * 1000), described=True)
    took = park(setup.write(), crowd)
    mib = size_mib(setup)
    stage.tell(f"  {customers:,} customers, {mib:,} MiB of state, made in {took:.0f} s")
    live = Live(setup)
    live.start()  # the first start makes the log
    try:
        polite = [_first_mail(live, 2 * n, Live.end) for n in range(times)]
        killed = [_first_mail(live, 2 * n + 1, Live.kill) for n in range(times)]
    finally:
        live.end()
    kinds = (
        ("restart_s", "a polite stop", polite),
        ("recovery_s", "kill -9", killed),
    )
    measures = [
        Measure(
            name=name,
            says=f"from the start to the first mail, after {after}, {mib:,} MiB of state",
            unit="s",
            values=values,
            goal=GOAL_SECONDS,
            note="files are in the page cache, as after a crash of the process",
        )
        for name, after, values in kinds
    ]
    for each in measures:
        stage.tell(f"    {each.says}: {', '.join(f'{value:.2f}' for value in each.values)} s")
    return Gathered(measures)


def _first_mail(live: Live, number: int, end: Callable[[Live], None]) -> float:
    """Stop it in this way, append what leads to a mail, start it; seconds until that mail is accepted."""
    live.ensure_started()
    load = Load(AMONG_PARKED, 5.0, 1, 1.0, run=f"first-{number}", known=1, known_from=number)
    end(live)
    watch = Watch(live.settings)
    began = round(time.time() * 1000)
    rush(live.settings, load, 1)
    live.start()
    seen = watch.see(began - 1, began + 60_000, 1, FIRST_SECONDS_MAX)
    if not seen.accepted:
        raise RuntimeError(f"no mail within {FIRST_SECONDS_MAX:.0f} s of a restart; see {live.setup.folder}/impuls.log")
    due, took = seen.accepted[0]
    return (due + took) / 1000 - live.started_at


def size_mib(setup: Setup) -> int:
    """Of the stores and the keys, as the disk has them."""
    folders = [str(Path(setup.folder) / "data" / name) for name in ("shards", "keys")]
    sizes = subprocess.run(["du", "-sm", *folders], capture_output=True, text=True, check=True).stdout
    return sum(int(line.split()[0]) for line in sizes.splitlines())
