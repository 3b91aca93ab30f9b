"""`make bench-quick`: latency, throughput and memory, measured in a few minutes on two cores.

Ends with one line `RESULT {json}`.  What each number means: docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import machine, throughput
from benchmarks.ending import end_in_order
from benchmarks.figures import median, spread
from benchmarks.live import Live, Setup, Use, data_folder
from benchmarks.load.generator import rush
from benchmarks.load.plans import Load
from benchmarks.load.workloads import AMONG_PARKED, Mix
from benchmarks.parked import Crowd, park
from benchmarks.repetition import Repetition, repeat
from benchmarks.shop import write_stream
from benchmarks.sink import Sink
from benchmarks.throughput import ALL, SPINE

SEED = 1
AMONG_PARKED_QUIET = replace(AMONG_PARKED, mix=Mix(mail_every=0, carts=0.2, orders=0))


@dataclass(frozen=True)
class Scale:
    """How much of everything.  `rush`: ordinary events that fill the worker's caches before it is measured."""

    visitors: int = 7_000
    sampled_visitors: int = 2_000
    few: int = 10_000
    many: int = 1_000_000
    rate: int = 500
    repetitions: int = 5
    seconds: float = 5.0
    warm_seconds: float = 4.0
    warm_again_seconds: float = 1.0
    rush: int = 60_000


QUICK = Scale()
TINY = Scale(150, 60, 300, 900, 100, 2, 1.0, 0.5, 0.2, 300)


@dataclass(frozen=True)
class Standing:
    """What was measured of a worker with so many customers at a wait."""

    customers: int
    repetitions: list[Repetition]
    worker: Use

    def share_of_a_core(self, process: str) -> float:
        return median([each.share_of_a_core(process) for each in self.repetitions])

    @property
    def p50(self) -> float:
        return median([each.p(0.5) for each in self.repetitions])

    @property
    def p99(self) -> float:
        return median([each.p(0.99) for each in self.repetitions])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quick", description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="a few seconds of all, to try the harness")
    parser.add_argument("--only", choices=("throughput", "latency"), help="one half; RESULT has its keys only")
    asked = parser.parse_args(arguments)
    scale = TINY if asked.tiny else QUICK
    began = time.monotonic()
    print("\n".join(machine.described()), flush=True)
    result: dict[str, object] = {}
    with data_folder() as folder:
        if asked.only != "throughput":
            result |= standing(scale, folder)
        if asked.only != "latency":
            result |= stream(scale, folder)
    print(f"\n{time.monotonic() - began:.0f} seconds in all")
    print("RESULT " + json.dumps(result))
    return 0


def stream(scale: Scale, folder: Path) -> dict[str, object]:
    """Throughput of `impuls replay`, and where its time goes."""
    path, out = folder / "stream.jsonl", folder / "out"
    kinds = write_stream(path, SEED, scale.visitors)
    events = kinds.total()
    mix = ", ".join(f"{name} {count / events:.1%}" for name, count in kinds.most_common())
    print(
        f"\nThroughput of replay, one worker: {events:,} events of {scale.visitors:,} visitors in a month, seed {SEED}"
    )
    print(f"  {mix}")
    spine, everything = (_measure(path, events, out, flows) for flows in (SPINE, ALL))
    per_event = 1e6 * everything.cpu_seconds / everything.events
    write_stream(path, SEED, scale.sampled_visitors)
    print("  where it goes, all flows (sampled at each millisecond in a shorter run, shares ± 2 %):")
    for layer, share in throughput.layers(path, out).table():
        print(f"    {layer:<50}{share:>6.1%}  {share * per_event:>5.1f} µs an event")
    source = throughput.retailrocket()
    if source is None:
        print("  Retailrocket: not measured, IMPULS_DATA names no folder with retailrocket_events.csv.gz")
    else:
        events = throughput.write_retailrocket(source, path)
        print(f"Retailrocket, imported with consent: {events:,} events")
        for flows in (SPINE, ALL):
            _measure(path, events, out, flows)
    path.unlink()
    return {
        "replay_events_per_cpu_second": round(spine.events_per_cpu_second),
        "replay_all_flows_events_per_cpu_second": round(everything.events_per_cpu_second),
    }


def _measure(path: Path, events: int, out: Path, flows: str) -> throughput.Throughput:
    found = throughput.measure(path, events, out, flows)
    print("  abandoned_cart and welcome:" if flows == SPINE else "  all flows that ship:")
    _tell_throughput(found)
    return found


def standing(scale: Scale, folder: Path) -> dict[str, object]:
    """Latency and memory with few and with many customers at a wait."""
    with Sink() as sink:
        every = AMONG_PARKED.mix.mail_every
        print(f"\nAppend → SMTP accepted, {scale.rate} events a second, one in {every} leads to a mail")
        print(f"  one worker, one courier, embedded log; mail server: {sink.what}, same machine")
        few = _standing(scale, folder / "few", scale.few, sink.port)
        many = _standing(scale, folder / "many", scale.many, sink.port)
    ratio = many.p99 / few.p99
    print(f"  p99 with {many.customers:,} is {ratio:.2f} times that with {few.customers:,}")
    return {
        "append_to_accepted_ms": {"p50": round(few.p50, 2), "p99": round(few.p99, 2)},
        "rss_mib_1m_customers": round(many.worker.rss_mib_max),
        "p99_ratio_1m_to_10k": round(ratio, 2),
    }


def _standing(scale: Scale, folder: Path, customers: int, smtp_port: int) -> Standing:
    setup = Setup(folder, smtp_port)
    loads = list(_loads(scale, customers))
    crowd = Crowd(customers, loads[-1].known_from + loads[-1].agreeing, round(time.time() * 1000))
    took = park(setup.write(), crowd)
    print(f"  {customers:,} customers parked in {took:.0f} s", flush=True)
    with Live(setup) as live:
        rush(live.settings, replace(loads[0], run="rush", workload=AMONG_PARKED_QUIET), scale.rush)
        done = [repeat(live.settings, load, live) for load in loads]
        used = live.use("worker-0")
        assert live.parked() >= customers - len(done) * scale.rate, "customers have left their waits meanwhile"
    found = Standing(customers, done, used)
    _tell_standing(found, scale)
    if not live.ended_well:
        print("  `impuls run` did not drain and end with 0")
    shutil.rmtree(folder)
    return found


def _loads(scale: Scale, customers: int) -> Iterator[Load]:
    """One for each repetition, the first one longer to warm up; nobody agrees twice."""
    agreed = 0
    for number in range(scale.repetitions):
        warm_seconds = scale.warm_seconds if not number else scale.warm_again_seconds
        load = Load(
            AMONG_PARKED, scale.rate, customers, scale.seconds, warm_seconds, SEED + number, f"q{number}", 1, agreed
        )
        agreed += load.agreeing
        yield load


def _tell_throughput(found: throughput.Throughput) -> None:
    print(
        f"  {found.events_per_cpu_second:,.0f} events per CPU-second: {found.events:,} events, {found.decisions:,} "
        f"decisions, {found.dead_letters} dead letters in {found.cpu_seconds:.1f} s of CPU, {found.wall_seconds:.1f} s"
    )
    if found.slices:
        print(f"  by tenths of the stream: {spread(found.slices, ',.0f')}", flush=True)


def _tell_standing(found: Standing, scale: Scale) -> None:
    done = found.repetitions
    slowest = max(max(each.accepted) for each in done)
    print(f"    p50 {spread([each.p(0.5) for each in done])} ms, p99 {spread([each.p(0.99) for each in done])} ms")
    print(
        f"    {len(done)} repetitions of {scale.seconds:g} s, median (least – greatest), "
        f"{sum(len(each.accepted) for each in done):,} mails, slowest {slowest:.1f} ms"
    )
    print(
        f"    worker {found.share_of_a_core('worker-0'):.0%} of a core, {found.worker.rss_mib:,.0f} MiB resident "
        f"(at most {found.worker.rss_mib_max:,.0f}); courier {found.share_of_a_core('courier-0'):.0%} of a core",
        flush=True,
    )
    for warning in sorted({warning for each in done for warning in each.warnings()}):
        print(f"    {warning}")


if __name__ == "__main__":
    end_in_order()
    sys.exit(main())
