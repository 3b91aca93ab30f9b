"""How soon all is as before: after a sale's morning, an outage of the mail server, an outage of Impuls, a restart."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.figures import percentile
from benchmarks.live import Live
from benchmarks.load.generator import Generator
from benchmarks.load.paces import Spike
from benchmarks.load.workloads import workload
from benchmarks.repetition import Repetition, repeat
from benchmarks.reports.report import Measure
from benchmarks.runs import back_after
from benchmarks.sink import Sink
from benchmarks.suite.stage import Gathered, Stage, doubts
from benchmarks.watch import Seen, Watch, by_bucket

SPIKE_SHARE = 0.05  # of saturation, so that twenty times as much is what can just be worked off
QUIET_SHARE = 0.3
LIVE_P99_MS = 100.0
AFTER_OUTAGES = 2.0  # how long the load goes on after an outage, in outages
CATCH_UP_SECONDS_MAX = 120.0
SLICE_MS = 500
LOOK_SECONDS = 0.1


def spike(stage: Stage, saturation: float) -> Gathered:
    """A sale begins: twenty times the rate for a quarter of the run."""
    rate, pace = SPIKE_SHARE * saturation, workload("spike").pace
    assert isinstance(pace, Spike)
    stage.tell(f"  {rate:,.0f} events a second, for a quarter of the time twenty times as many")
    with Live(stage.setup("spike")) as live:
        load = stage.load(rate, "spike", of="spike", seconds=stage.scale.spike_seconds)
        done = repeat(live.settings, load, live)
    stage.told(done)
    if not done.accepted:
        return Gathered(warnings=["spike: no mail was accepted"])
    begins, ends = pace.begins * done.sent.seconds * 1000, pace.ends * done.sent.seconds * 1000
    within = [took for due, took in done.seen.accepted if begins <= due - done.sent.began_ms < ends]
    measures = [
        Measure(
            name="spike_back_s",
            says="sale-morning spike: seconds after its end until p99 is back",
            unit="s",
            values=[back_after(done, pace)],
        ),
        Measure(name="spike_p99_ms", says="p99 within the spike", unit="ms", values=[percentile(within, 0.99)]),
    ]
    return Gathered(measures, warnings=doubts("spike", [done]))


def mail_outage(stage: Stage, saturation: float) -> Gathered:
    """The mail server is away for a while under load; how fast live mails are while those put off go out as well."""
    outage, rate = stage.scale.outage_seconds, QUIET_SHARE * saturation
    stage.tell(f"  mail server away for {outage:g} s at {rate:,.0f} events a second")
    back = 0.0
    with Sink() as sink, Live(stage.setup("mail", port=sink.port)) as live:
        load = stage.load(rate, "mail", seconds=(1 + AFTER_OUTAGES) * outage)

        def meanwhile(at: float) -> None:
            nonlocal back
            if 0 <= at < outage and sink.is_open:
                sink.shut()
            elif at >= outage and not sink.is_open:
                sink.open()
                back = at

        done = repeat(live.settings, load, live, meanwhile=meanwhile, seconds_max=CATCH_UP_SECONDS_MAX)
    return _after_mail_outage(stage, done, round(back * 1000) + done.sent.began_ms)


def _after_mail_outage(stage: Stage, done: Repetition, back_ms: int) -> Gathered:
    arrived = sorted(due + took for due, took in done.seen.accepted if due + took >= back_ms)
    if not arrived:
        return Gathered(warnings=["mail outage: no mail was accepted after it"])
    live = [took for due, took in done.seen.accepted if due >= arrived[0]]
    put_off = [due + took for due, took in done.seen.accepted if due < arrived[0]]
    measures = [
        Measure(
            name="mail_outage_first_s",
            says="mail server back: seconds until the first mail is accepted",
            unit="s",
            values=[(arrived[0] - back_ms) / 1000],
            note="the courier's circuit breaker asks again at intervals of its own",
        )
    ]
    if live:
        measures.append(
            Measure(
                name="mail_outage_live_p99_ms",
                says="live p99 from then on, while those put off go out as well",
                unit="ms",
                values=[percentile(live, 0.99)],
                goal=LIVE_P99_MS,
            )
        )
    if put_off:
        seconds = max(0.0, (max(put_off) - back_ms) / 1000)
        says = "seconds until all that was put off is accepted"
        measures.append(Measure(name="mail_outage_all_s", says=says, unit="s", values=[seconds]))
    for each in measures:
        stage.tell(f"    {each.says}: {each.median:.1f} {each.unit}")
    return Gathered(measures, warnings=doubts("mail outage", [done]))


def outage(stage: Stage, saturation: float) -> Gathered:
    """Impuls is stopped while events go on coming; how long until live ones are as fast as ever once it is back."""
    seconds, rate = stage.scale.outage_seconds, QUIET_SHARE * saturation
    stage.tell(f"  Impuls stopped for {seconds:g} s at {rate:,.0f} events a second")
    live = Live(stage.setup("outage"))
    with live:
        watch = Watch(live.settings)
    load = stage.load(rate, "outage", seconds=(1 + AFTER_OUTAGES) * seconds)
    with Generator(live.settings, load) as generator:
        began = generator.go()
        _wait(lambda: time.time() >= began / 1000 + seconds)
        with live:
            ready = time.time() - live.started_at
            _wait(lambda: generator.is_done)
            sent = generator.sent()
            seen = watch.see(began, began + round(1000 * sent.seconds), sent.mails, CATCH_UP_SECONDS_MAX)
    found = Gathered(warnings=[f"outage: {warning}" for warning in sent.warnings()])
    missing = sent.mails - len(seen.accepted)
    if missing:
        found.warnings.append(f"outage: {missing:,} of {sent.mails:,} mails were not accepted in time")
    found.measures += _after_outage(seen, round(live.started_at * 1000))
    for each in found.measures:
        stage.tell(f"    {each.says}: {each.median:.1f} {each.unit}")
    stage.tell(f"    ready after {ready:.1f} s")
    return found


def _after_outage(seen: Seen, started_ms: int) -> list[Measure]:
    """Caught up is from where on no half second's p99 is above the goal."""
    slices = by_bucket([each for each in seen.accepted if each[0] >= started_ms], started_ms, SLICE_MS)
    slow = [number for number, took in slices.items() if percentile(took, 0.99) > LIVE_P99_MS]
    caught_up = (max(slow) + 1) * SLICE_MS if slow else 0
    says = "Impuls back after an outage: seconds from its start until live p99 is below 100 ms"
    measures = [
        Measure(
            name="outage_caught_up_s",
            says=says,
            unit="s",
            values=[caught_up / 1000],
            note="its start is in it; what came in meanwhile is read before what is live, since order counts",
        )
    ]
    after = [took for due, took in seen.accepted if due >= started_ms + caught_up]
    if after:
        says = "live p99 once it has caught up"
        measures.append(Measure(name="outage_p99_ms", says=says, unit="ms", values=[percentile(after, 0.99)]))
    return measures


def _wait(until: Callable[[], bool]) -> None:
    while not until():
        time.sleep(LOOK_SECONDS)
