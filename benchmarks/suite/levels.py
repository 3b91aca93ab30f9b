"""Latency at 30, 50 and 80 % of saturation, which is found first; and a customer who does half of all."""

from __future__ import annotations

import time
from dataclasses import replace

from benchmarks.figures import median
from benchmarks.histograms import Histogram
from benchmarks.live import Live
from benchmarks.load.generator import rush
from benchmarks.repetition import repeat
from benchmarks.reports.report import Curve, Measure
from benchmarks.suite.stage import Gathered, Stage, doubts, percentile_measures, ratio_of_p99
from benchmarks.watch import Watch, by_bucket

GOALS = {"p50": 4.0, "p99": 12.0, "p999": 30.0}
HALF = 0.5
SHARES = (0.3, HALF, 0.8)
STEPS = (0.85, 0.7, 0.55, 0.4)
HELD_MS = 50.0  # when half of the mails of the last second are later than this, they wait behind others
BURST_SECONDS_MAX = 120.0
HOT_P99_RATIO = 1.2


def levels(stage: Stage) -> tuple[Gathered, float]:
    """Measures, and the rate of saturation."""
    with Live(stage.setup("levels")) as live:
        saturation = find_saturation(stage, live)
        found = Gathered([_saturation(saturation)])
        for share in SHARES:
            found += _level(stage, live, saturation, share)
    return found, saturation


def find_saturation(stage: Stage, live: Live) -> float:
    """The rate at which everything is still worked off as it comes.

    What is worked off of a burst is the guess; then rates below it are tried in an open loop until one is held.
    """
    guess = worked_off_a_second(stage, live)
    stage.tell(f"  a burst of {stage.scale.burst:,} events is worked off at {guess:,.0f} a second, mails included")
    rate = guess
    for step in STEPS:
        rate = min(step * guess, stage.scale.rate_max)
        done = repeat(live.settings, stage.load(rate, f"saturation-{step:g}"), live)
        stage.told(done)
        last = by_bucket(done.seen.accepted, done.sent.began_ms, 1000).get(int(done.sent.seconds) - 1, [])
        is_complete = len(done.accepted) >= done.sent.mails
        if done.sent.kept_its_rate and is_complete and last and median(last) < HELD_MS:
            break
    stage.tell(f"  saturation: {rate:,.0f} events a second")
    return rate


def worked_off_a_second(stage: Stage, live: Live) -> float:
    """Events of a burst, over the time until the last of their mails was accepted."""
    burst = float(stage.scale.burst)
    load = replace(stage.load(burst, "burst", seconds=2.0), rate=burst, warm_seconds=0.0)
    rush(live.settings, load, 0)  # those who will agree are known
    live.settle()
    watch = Watch(live.settings)
    began = time.time()
    appended = rush(live.settings, load, stage.scale.burst, known=False)
    mails = stage.scale.burst // load.workload.mix.mail_every
    seen = watch.see(round(began * 1000) - 1, round((began + appended) * 1000) + 1000, mails, BURST_SECONDS_MAX)
    ended = max((due + took for due, took in seen.accepted), default=0.0) / 1000
    if ended <= began:
        raise RuntimeError("No mail of a burst was accepted: see impuls.log in the folder of the deployment.")
    return stage.scale.burst / (ended - began)


def _saturation(rate: float) -> Measure:
    return Measure(
        name="saturation_events_a_second",
        says="saturation: events a second that are worked off as they come, one in five a mail",
        unit="/s",
        better="more",
        values=[rate],
        note="one worker, one courier, the generator and the mail server on the same machine",
    )


def _level(stage: Stage, live: Live, saturation: float, share: float) -> Gathered:
    rate, percent = share * saturation, round(100 * share)
    stage.tell(f"  {percent} % of saturation, {rate:,.0f} events a second")
    done = stage.times(live, stage.load(rate, f"level-{percent}"))
    says = f"append → accepted at {percent} % of saturation"
    found = Gathered(list(percentile_measures(f"accepted_at_{percent}", says, done, GOALS if share == HALF else None)))
    decided = [took for each in done for took in each.decided]
    accepted = [took for each in done for took in each.accepted]
    for name, shown in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)):
        values = [Histogram(each.decided).percentile(shown) for each in done if each.decided]
        says = f"append → decision at {percent} % of saturation, {name.replace('p999', 'p99.9')}"
        if values:
            found.measures.append(Measure(name=f"decided_at_{percent}_{name}_ms", says=says, unit="ms", values=values))
    if accepted:
        found.curves.append(Curve(name=f"accepted, {percent} %", histogram=str(Histogram(accepted))))
        found.curves.append(Curve(name=f"decided, {percent} %", histogram=str(Histogram(decided))))
    found.warnings += doubts(f"{percent} % of saturation", done)
    return found


def hot_key(stage: Stage, saturation: float) -> Gathered:
    """The others' p99 while one customer does half of all, over what it is without her."""
    rate = HALF * saturation
    stage.tell(f"  {rate:,.0f} events a second, of all alike and then half of one")
    with Live(stage.setup("hot")) as live:
        alike = stage.times(live, stage.load(rate, "alike"))
        hot = stage.times(live, stage.load(rate, "hot", of="hot-key"))
    ratio = ratio_of_p99(hot, alike)
    measure = Measure(
        name="hot_key_p99_ratio",
        says="hot key: the others' p99 while one customer does half of all, over that without her",
        unit="times",
        values=[ratio],
        goal=HOT_P99_RATIO,
    )
    return Gathered([measure], warnings=doubts("hot key", [*alike, *hot]))
