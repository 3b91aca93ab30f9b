"""What a report says in words: how it was measured, and what its numbers mean to a reader who was not there."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figures import number
from benchmarks.reports.report import Measure, Report

HOW = (
    "The load is an open loop: every event has the moment it is due beforehand and is appended at that moment, "
    "however slow what is measured answers. Latency counts from the moment the event was due, so that a "
    "generator that is late, or a system that holds it up, makes the numbers worse rather than better (no "
    "coordinated omission). Moments are whole milliseconds.",
    "“Decision in the log” is when the decision's record was appended to the topic decisions, in whole "
    "milliseconds. “Mail accepted” is when the mail server had said 250 to a mail that the event led to at "
    "once, as the courier tells it. Where processes run on several machines their clocks must agree; a "
    "difference of clocks is a difference of numbers.",
    "Each repetition starts Impuls anew and lets it warm up under the same load before anything counts. A "
    "measure's value is the median of the repetitions, its range from the least to the greatest. Histograms are "
    "HdrHistogram's, with three digits; they hold all repetitions together.",
)


def _spread(each: Measure) -> str:
    if len(each.values) == 1:
        return ""
    return (
        f" (median of {len(each.values)} repetitions, from {number(min(each.values))} to {number(max(each.values))} ms)"
    )


def meaning(report: Report) -> Iterator[str]:
    """A few sentences in the reader's words, from what was measured."""
    p50, p99 = report.measure("accepted_p50_ms"), report.measure("accepted_p99_ms")
    if p50 is not None and p99 is not None:
        yield (
            f"Half of the mails that an event led to at once were with the mail server within {number(p50.median)} ms "
            f"of when the event should have been appended, and 99 of 100 within {number(p99.median)} ms{_spread(p99)}."
        )
    cpu = report.measure("worker_cpu_us_an_event")
    if cpu is not None and cpu.median > 0:
        yield (
            f"At this rate a worker spends {cpu.median:,.0f} µs of CPU time on an event. Events that come one by one "
            "cost more than those that come in batches, so a core is full at a higher rate than this suggests."
        )
    back = report.measure("back_after_spike_s")
    if back is not None:
        yield f"After the spike it took {back.median:.1f} s until the slowest one in a hundred was as before it."
    missed = [each.says for each in report.measures if each.reached is False]
    if any(each.goal is not None for each in report.measures):
        yield f"Goals that were missed: {'; '.join(missed)}." if missed else "All goals were reached."
    if report.warnings:
        yield "The warnings above say where the load was not what it should have been: read the numbers with them."
