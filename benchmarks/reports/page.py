"""A report as one page that needs nothing else: no network, no scripts, charts as inline SVG."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from benchmarks.figures import number
from benchmarks.histograms import Histogram
from benchmarks.reports.prose import HOW, meaning
from benchmarks.reports.report import Curve, Measure, Report, Series
from operators.pages.charts import Axis, Line, chart, linear, logarithmic, nines
from operators.pages.document import document

CARDS = ("accepted_p50_ms", "accepted_p99_ms", "accepted_p99.9_ms", "accepted_max_ms", "events_a_second")
CHARTS = {
    "latency": "Latency over time, by when the event was due",
    "rate": "What was planned and what was done",
    "CPU": "CPU",
    "memory": "Resident memory",
}
POINTS = 60


def page(report: Report) -> str:
    body = [
        f"<h1>{escape(report.title)}</h1><p>{escape(report.says)}</p>",
        f'<p class="soft">Impuls, commit {escape(report.place.commit)}, measured {escape(report.made_at)}</p>',
        _cards(report),
        _warnings(report.warnings),
        "<h2>What this means</h2>",
        *(f"<p>{escape(text)}</p>" for text in meaning(report)),
        "<h2>Measures</h2>",
        _measures(report.measures),
        "<h2>Charts</h2>" if report.curves or report.series else "",
        _percentiles(report.curves),
        *_over_time(report.series),
        "<h2>What was run</h2>",
        _table(report.settings),
        "<h2>Where</h2>",
        _table({"machine": report.place.machine, "versions": report.place.versions, "commit": report.place.commit}),
        "<h2>How it was measured</h2>",
        *(f"<p>{escape(text)}</p>" for text in (*HOW, *report.notes)),
    ]
    return document(report.title, body)


def _cards(report: Report) -> str:
    shown = [each for name in CARDS if (each := report.measure(name)) is not None]
    cards = (
        f'<div class="card"><b>{number(each.median)} {escape(each.unit)}</b><span>{escape(each.says)}</span></div>'
        for each in shown
    )
    return f'<div class="cards">{"".join(cards)}</div>' if shown else ""


def _warnings(warnings: list[str]) -> str:
    if not warnings:
        return ""
    items = "".join(f"<li>{escape(each)}</li>" for each in warnings)
    return f'<div class="warn"><b>Read with care</b><ul>{items}</ul></div>'


def _measures(measures: list[Measure]) -> str:
    has_goals = any(each.goal is not None for each in measures)
    head = '<tr><th>what</th><th class="n">median</th><th class="n">from – to</th><th>unit</th>'
    head += '<th class="n">repetitions</th>'
    head += '<th class="n">goal</th></tr>' if has_goals else "</tr>"
    return f"<table>{head}{''.join(_row(each, has_goals) for each in measures)}</table>"


def _row(each: Measure, has_goals: bool) -> str:
    note = f'<br><span class="soft">{escape(each.note)}</span>' if each.note else ""
    values = f"{number(min(each.values))} – {number(max(each.values))}" if len(each.values) > 1 else ""
    cells = (
        f'<td>{escape(each.says)}{note}</td><td class="n">{number(each.median)}</td><td class="n">{values}</td>'
        f'<td>{escape(each.unit)}</td><td class="n">{len(each.values)}</td>'
    )
    if has_goals:
        cells += f'<td class="n {_verdict(each)[0]}">{_verdict(each)[1]}</td>'
    return f"<tr>{cells}</tr>"


def _verdict(each: Measure) -> tuple[str, str]:
    if each.goal is None:
        return "", ""
    sign = "≤" if each.better == "less" else "≥"
    return ("met", f"{sign} {each.goal:g}: reached") if each.reached else ("missed", f"{sign} {each.goal:g}: missed")


def _table(rows: dict[str, str]) -> str:
    return f"<table>{''.join(f'<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>' for k, v in rows.items())}</table>"


def _percentiles(curves: list[Curve]) -> str:
    """How much of all was within which time: each nine as wide as the one before."""
    lines, most, values = [], 0.9, []
    for curve in curves:
        histogram = Histogram.read(curve.histogram)
        if not len(histogram):
            continue
        most = max(most, 1 - 1 / max(10, len(histogram)))
        last = 1 - 1 / max(10, len(histogram))
        shares = [1 - (1 - last) ** (n / POINTS) for n in range(POINTS + 1)]
        found = histogram.percentiles(shares)
        values += found
        lines.append(Line(curve.name, list(zip(shares, found, strict=True))))
    if not lines:
        return ""
    y = logarithmic("milliseconds (logarithmic)", max(0.01, min(values)), max(0.1, *values))
    return chart("How much was within which time", lines, nines("share of all (each nine as wide)", most), y)


def _over_time(series: list[Series]) -> Iterator[str]:
    for name in dict.fromkeys(each.chart for each in series):
        found = [each for each in series if each.chart == name]
        lines = [Line(each.name, list(zip(each.x, each.y, strict=True))) for each in found]
        values = [value for each in found for value in each.y if value is not None]
        ends = [each.x[-1] for each in found if each.x]
        if not values or not ends:
            continue
        x = linear("seconds", 0, max(ends), 10)
        yield chart(CHARTS.get(name, name), lines, x, _up(found[0].unit, values, name == "latency"))


def _up(unit: str, values: list[float], is_latency: bool) -> Axis:
    """Latencies that differ by more than a factor of twenty are told apart by their logarithms only."""
    if is_latency and max(values) > 20 * max(0.1, min(values)):
        return logarithmic(f"{unit} (logarithmic)", max(0.1, min(values)), max(values))
    return linear("a second" if unit == "/s" else unit, 0, max(*values, 0.001))
