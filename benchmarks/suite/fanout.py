"""One product becomes cheaper, and a hundred thousand customers are to hear of it: what the others notice."""

from __future__ import annotations

import json
import time

from benchmarks.live import Live
from benchmarks.parked import Crowd, park
from benchmarks.reports.report import Measure
from benchmarks.suite.levels import HALF
from benchmarks.suite.stage import Gathered, Stage, doubts, ratio_of_p99
from config.settings import Settings
from flows import worker_doors as doors
from state.catalogue import CATALOGUE, CHANGED
from state.instants import format_instant

GOAL = 1.2
HEARD_SECONDS_MAX = 600.0


def fan_out(stage: Stage, saturation: float) -> Gathered:
    """The others' p99 while all hear, over what it was before; and how long it takes until all have heard."""
    setup, waiting, rate = stage.setup("fan-out"), stage.scale.waiting, HALF * saturation
    took = park(setup.write(), Crowd(waiting, 0, round(time.time() * 1000)))
    stage.tell(f"  {waiting:,} customers with one product in their carts, in {took:.0f} s; {rate:,.0f} events a second")
    with Live(setup) as live:
        before = stage.times(live, stage.load(rate, "before"))
        began = time.monotonic()
        make_cheaper(live.settings)
        during = stage.times(live, stage.load(rate, "during"), settled=False)
        still = _news(live)
        live.wait(lambda: not _news(live), HEARD_SECONDS_MAX, "done with the news")
        heard = time.monotonic() - began
    warnings = doubts("fan-out", [*before, *during])
    if not still:
        warnings.append("fan-out: all had heard before the load was over, so part of it met nothing")
    ratio = ratio_of_p99(during, before)
    stage.tell(f"    all {waiting:,} have heard after {heard:.0f} s; the others' p99 is {ratio:.2f} times what it was")
    others = f"fan-out: the others' p99 while {waiting:,} customers hear of a product, over that before"
    until = f"fan-out: until {waiting:,} customers have heard"
    measures = [
        Measure(name="fan_out_p99_ratio", says=others, unit="times", values=[ratio], goal=GOAL),
        Measure(name="fan_out_s", says=until, unit="s", values=[heard]),
    ]
    return Gathered(measures, warnings=warnings)


def make_cheaper(settings: Settings) -> None:
    """What the crowd has in its carts (`benchmarks.parked`) costs half."""
    at = format_instant(round(time.time() * 1000))
    properties = {"product_id": "p7", "price": 44.99, "currency": "PLN"}
    word = {"type": "track", "event": CHANGED, "messageId": "cheaper", "timestamp": at, "properties": properties}
    writer = doors.open_writer(settings)
    try:
        writer.send(CATALOGUE, b"p7", json.dumps(word).encode())
        writer.flush(10)
    finally:
        writer.close()


def _news(live: Live) -> int:
    """In how many shards there are news that some have yet to hear."""
    return sum(live.told(name).get("news", 0) for name in live.workers)
