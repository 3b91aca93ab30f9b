"""One workload, run several times, and the report of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks import machine
from benchmarks.figures import percentile
from benchmarks.histograms import Histogram
from benchmarks.load.paces import Spike
from benchmarks.repetition import Repetition
from benchmarks.reports.report import SCHEMA, Curve, Measure, Place, Report, Series
from benchmarks.watch import by_bucket
from state.instants import format_instant

PERCENTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0))
SLICE_MS = 1000
BACK_SLICE_MS = 250
BACK_FACTOR, BACK_MS = 2.0, 5.0

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Told:
    """What the report says of the run."""

    title: str
    says: str
    settings: dict[str, str]


def report(told: Told, repetitions: list[Repetition], warnings: list[str], pace: object = None) -> Report:
    measures = list(latencies(repetitions))
    measures += list(_rates(repetitions))
    if repetitions[0].samples:
        measures += list(costs(repetitions))
    if isinstance(pace, Spike):
        measures.append(_back(repetitions, pace))
    shown = middle(repetitions)
    return Report(
        schema=SCHEMA,
        title=told.title,
        says=told.says,
        made_at=format_instant(round(time.time() * 1000)),
        place=place(),
        settings=told.settings,
        measures=measures,
        curves=list(curves(repetitions)),
        series=list(_series(shown)),
        warnings=[*warnings, *too_few(repetitions), *told_once(repetitions)],
        notes=[
            f"The lines over time are of the repetition whose p99 is the median: number {shown_number(repetitions)}."
        ],
    )


def place() -> Place:
    return Place(machine=machine.machine(), versions=machine.versions(), commit=machine.commit())


def too_few(repetitions: list[Repetition]) -> Iterator[str]:
    """Where a percentile has too few values to be anything but the greatest of them."""
    fewest = min(len(each.accepted) for each in repetitions)
    names = " and ".join(name for name, share in PERCENTILES if share < 1 and fewest * (1 - share) < 1 - 1e-9)
    if fewest and names:
        yield (
            f"{fewest:,} mails in a repetition are too few for {names}: what stands there is the slowest mail. "
            "p99 needs 100 and p99.9 needs 1,000: a longer run has more, or one of a higher rate"
        )


def told_once(repetitions: list[Repetition]) -> list[str]:
    """The warnings of all of them, each with the repetition it belongs to."""
    return [
        f"repetition {number}: {warning}" for number, each in enumerate(repetitions, 1) for warning in each.warnings()
    ]


def latencies(repetitions: list[Repetition]) -> Iterator[Measure]:
    kinds = (
        ("accepted", "append → mail accepted", [each.accepted for each in repetitions]),
        ("decided", "append → decision in the log", [each.decided for each in repetitions]),
    )
    for kind, says, values in kinds:
        if not all(values):
            continue
        for name, share in PERCENTILES:
            yield Measure(
                name=f"{kind}_{name}_ms",
                says=f"{says}, {name}",
                unit="ms",
                values=[percentile(each, share) for each in values],
                judged=name in ("p50", "p99"),
            )


def _rates(repetitions: list[Repetition]) -> Iterator[Measure]:
    yield Measure(
        name="events_a_second",
        says="events appended within the time measured",
        unit="/s",
        better="more",
        values=[each.sent.appended / each.sent.seconds for each in repetitions],
    )
    yield Measure(
        name="mails_a_second",
        says="mails accepted",
        unit="/s",
        better="more",
        values=[len(each.accepted) / each.sent.seconds for each in repetitions],
    )
    behind = [Histogram.read(each.sent.behind) for each in repetitions]
    if all(map(len, behind)):
        yield Measure(
            name="generator_behind_p99_ms",
            says="how late the generator was, p99 (counted into the latencies)",
            unit="ms",
            values=[each.percentile(0.99) for each in behind],
        )


def costs(repetitions: list[Repetition]) -> Iterator[Measure]:
    """CPU for an event is not known where it was not worked off while it was measured."""
    for kind in ("worker", "courier") if not any(each.was_behind for each in repetitions) else ():
        yield Measure(
            name=f"{kind}_cpu_us_an_event",
            says=f"CPU time of the {kind}s for an event",
            unit="µs",
            values=[each.cpu_microseconds_an_event(kind) for each in repetitions],
            judged=kind == "worker",
        )
    yield Measure(
        name="worker_rss_mib",
        says="resident memory of the workers, at most",
        unit="MiB",
        values=[each.rss_mib_max("worker") for each in repetitions],
        judged=True,
    )


def curves(repetitions: list[Repetition]) -> Iterator[Curve]:
    for name, values in (
        ("append → mail accepted", [took for each in repetitions for took in each.accepted]),
        ("append → decision in the log", [took for each in repetitions for took in each.decided]),
    ):
        if values:
            yield Curve(name=name, histogram=str(Histogram(values)))
    behind = Histogram.of_all([Histogram.read(each.sent.behind) for each in repetitions])
    yield Curve(name="the generator behind its schedule", histogram=str(behind))


def middle(repetitions: list[Repetition]) -> Repetition:
    return repetitions[shown_number(repetitions) - 1]


def shown_number(repetitions: list[Repetition]) -> int:
    """The number, from 1, of the one whose p99 is the median."""
    ranked = sorted(range(len(repetitions)), key=lambda n: percentile(repetitions[n].accepted or [0.0], 0.99))
    return ranked[(len(ranked) - 1) // 2] + 1


def _series(shown: Repetition) -> Iterator[Series]:
    slices = by_bucket(shown.seen.accepted, shown.sent.began_ms, SLICE_MS)
    seconds = range(min(len(shown.sent.by_second), math.ceil(shown.sent.seconds)))  # after the last it only runs out
    at = [second + 0.5 for second in seconds]
    for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        values = [percentile(slices[n], share) if slices.get(n) else None for n in seconds]
        yield Series(chart="latency", name=name, unit="ms", x=at, y=values)
    planned: list[float | None] = [float(shown.sent.by_second[n][0]) for n in seconds]
    appended: list[float | None] = [float(shown.sent.by_second[n][1]) for n in seconds]
    accepted: list[float | None] = [float(len(slices.get(n, ()))) for n in seconds]
    yield Series(chart="rate", name="events planned", unit="/s", x=at, y=planned)
    yield Series(chart="rate", name="events appended", unit="/s", x=at, y=appended)
    yield Series(chart="rate", name="mails of what was due then", unit="/s", x=at, y=accepted)
    yield from _use_over_time(shown)


def _use_over_time(shown: Repetition) -> Iterator[Series]:
    pairs = [(a, b) for a, b in zip(shown.samples, shown.samples[4:], strict=False) if b.at > a.at]
    pairs = [(a, b) for a, b in pairs if 0 <= b.at <= shown.sent.seconds + 1]
    x = [b.at for _, b in pairs]
    for process in shown.samples[0].uses if shown.samples else ():
        cores: list[float | None] = [
            100 * (b.uses[process].cpu_seconds - a.uses[process].cpu_seconds) / (b.at - a.at) for a, b in pairs
        ]
        yield Series(chart="CPU", name=process, unit="% of a core", x=x, y=cores)
        rss: list[float | None] = [b.uses[process].rss_mib for _, b in pairs]
        yield Series(chart="memory", name=process, unit="MiB", x=x, y=rss)


def _back(repetitions: list[Repetition], pace: Spike) -> Measure:
    return Measure(
        name="back_after_spike_s",
        says="from the end of the spike until p99 (of 0.25 s) is back to twice that before it, or 5 ms more",
        unit="s",
        values=[back_after(each, pace) for each in repetitions],
    )


def back_after(repetition: Repetition, pace: Spike) -> float:
    """Seconds from the end of the spike to the end of the last slice that was slower than before; 0 for none."""
    seconds, began = repetition.sent.seconds, repetition.sent.began_ms
    begins, ends = 1000 * pace.begins * seconds, 1000 * pace.ends * seconds
    before = [took for due, took in repetition.seen.accepted if due - began < begins]
    if not before:
        raise ValueError("no mails before the spike: nothing to compare with")
    usual = percentile(before, 0.99)
    limit = max(BACK_FACTOR * usual, usual + BACK_MS)
    slices = by_bucket(repetition.seen.accepted, began, BACK_SLICE_MS)
    slow = [number for number, took in slices.items() if percentile(took, 0.99) > limit]
    last = max((number + 1) * BACK_SLICE_MS for number in slow) if slow else 0
    return max(0.0, (last - ends) / 1000)
