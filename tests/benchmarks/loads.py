"""Reports and repetitions made up for tests, with the values that matter and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmarks.histograms import Histogram
from benchmarks.load.generator import Sent
from benchmarks.repetition import Repetition
from benchmarks.reports.report import SCHEMA, Curve, Measure, Place, Report, Series
from benchmarks.watch import Seen

SENT = Sent(
    began_ms=0,
    seconds=2.0,
    planned=1_000,
    appended=1_000,
    mails=2,
    late=0,
    behind=str(Histogram([0.1])),
    behind_ms_max=0.1,
    ended_behind_ms=0.0,
    unsent=0,
)
"""A load that was kept up."""


def repetition(accepted: list[tuple[int, float]], seconds: float = 2.0, mails: int | None = None) -> Repetition:
    awaited = len(accepted) if mails is None else mails
    return Repetition(replace(SENT, seconds=seconds, mails=awaited), Seen(accepted=accepted), [])


def report(values: Mapping[str, Sequence[float]], settings: dict[str, str] | None = None) -> Report:
    return Report(
        schema=SCHEMA,
        title="steady <at> 500",
        says="made up",
        made_at="2026-11-24T10:00:00.000Z",
        place=Place(machine="one, load 1.0 before the start", versions="CPython", commit="c0ffee"),
        settings=settings or {"rate": "500"},
        measures=[
            Measure(name=name, says=name, unit="ms", values=list(each), judged=True) for name, each in values.items()
        ],
        curves=[Curve(name="accepted", histogram=str(Histogram([1.0, 2.0, 30.0])))],
        series=[Series(chart="latency", name="p50", unit="ms", x=[0.5, 1.5, 2.5], y=[1.0, None, 2.0])],
    )
