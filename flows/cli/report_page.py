"""A report as one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from flows.cli.report_recommended import HEADS as RECOMMENDED_HEADS
from flows.cli.report_recommended import NOTE as RECOMMENDED_NOTE
from flows.cli.report_recommended import cells as recommended_cells
from flows.cli.report_table import ALL_MARKETING, cells, notes
from operators.measuring.account import DAY_MS
from operators.measuring.figures import Bounds, Cohorts, Coming, Report
from operators.measuring.ledger import ALL
from operators.measuring.recommended import By
from operators.measuring.recommended import Ledger as Recommended
from operators.pages.charts import COLOURS, Line, chart, linear
from operators.pages.document import document
from operators.pages.forest import Range, forest
from state.instants import format_instant

COUNTS = ("sent", "accepted", "opened", "clicked", "converted", "revenue", "lift", "a customer", "SRM")
HEADS = ("flow", "message", "arm", *COUNTS)
FLOWS_DRAWN_MAX = 5
SHOWN_MIN = 20  # a day: of fewer no share is drawn


def page(report: Report, recommended: Recommended) -> str:
    lines = list(report.lines())
    alarms = [line for line in lines if line.srm and line.srm.alarm]
    until = f"orders known up to {format_instant(report.clock)}" if report.clock is not None else "orders not known"
    body = [
        "<h1>What the messages came to</h1>",
        f'<p class="soft">{escape(until)}; {report.ledger.customers:,} customers</p>',
        _warning([f"{line.flow or ALL_MARKETING} {line.arm}" for line in alarms]),
        "<h2>Lift</h2>" if any(line.lift for line in lines) else "",
        _lifts(report),
        *(_novelty(cohorts) for cohorts in report.cohorts()),
        "<h2>Day by day</h2>",
        *_daily(report),
        "<h2>By flow, message and arm</h2>",
        _table(HEADS, [cells(line) for line in lines], texts=3),
        *_coming(list(report.coming())),
        *_recommended(recommended),
        "<h2>How to read it</h2>",
        *(f"<p>{escape(note)}</p>" for note in notes(report)),
    ]
    return document("What the messages came to", body)


def _warning(alarms: list[str]) -> str:
    if not alarms:
        return ""
    items = "".join(f"<li>{escape(each)}</li>" for each in alarms)
    return f'<div class="warn"><b>Not as drawn: trust no lift of these</b><ul>{items}</ul></div>'


def _lifts(report: Report) -> str:
    ranges = [
        _range(f"{line.flow or ALL_MARKETING} {line.message} {line.arm}".strip(), line.lift.conversion)
        for line in report.lines()
        if line.lift is not None
    ]
    return _forest("How many percent more bought", [each for each in ranges if each])


def _novelty(cohorts: Cohorts) -> str:
    ranges = [_range(f"week of {week.monday}", week.conversion) for week in cohorts.weeks]
    title = f"{cohorts.flow or ALL_MARKETING}: lift by week of the first message"
    return _forest(title, [each for each in ranges if each])


def _range(name: str, told: Bounds) -> Range | None:
    if told.estimate is None:
        return None
    low, high = (None if edge is None else 100 * edge for edge in (told.low, told.high))
    return Range(name, 100 * told.estimate, low, high)


def _forest(title: str, ranges: list[Range]) -> str:
    return forest(title, ranges, "percent") if ranges else ""


def _daily(report: Report) -> Iterator[str]:
    """The first days of all flows are one day on the axis, so that lines can be held against each other."""
    flows = [ALL, *sorted({flow for flow, _ in report.ledger.days} - {ALL})][: 1 + FLOWS_DRAWN_MAX]
    days = {flow: found for flow in flows if (found := report.daily(flow))[1]}
    if not days:
        return
    origin = min(first for first, _ in days.values())
    end = max(first + len(each) for first, each in days.values())
    x = linear(f"days since {format_instant(origin * DAY_MS)[:10]}", 0, max(1, end - origin - 1))
    for number, (title, unit) in enumerate((("Sent", "messages"), ("Orders, by last touch", "orders"))):
        drawn = [
            Line(flow or ALL_MARKETING, [(first - origin + at, day[number]) for at, day in enumerate(each)])
            for flow, (first, each) in days.items()
        ]
        most = max(day[number] for _, each in days.values() for day in each)
        yield chart(title, drawn, x, linear(unit, 0, max(1, most)))


def _coming(weeks: list[Coming]) -> Iterator[str]:
    if not weeks:
        return
    yield "<h2>The coming weeks</h2>"
    told = [
        [week.flow or ALL_MARKETING, week.day, *(_expected(each) for each in (week.sent, week.orders, week.revenue))]
        for week in weeks
    ]
    yield _table(("flow", "week from", "sent", "orders", "revenue"), told, texts=2)


def _recommended(told: Recommended) -> Iterator[str]:
    lines = list(told.lines())
    if not lines:
        return
    yield "<h2>Recommendations</h2>"
    often = sorted(told.came, key=lambda by: (-told.came[by].shown, by))[:COLOURS]
    days = [day for by in often for day in told.came[by].daily]
    first, last = min(days), max(days)
    drawn = [Line(_chosen_by(by), _clicked(told.came[by].daily, first, last)) for by in often]
    shares = [share for line in drawn for _, share in line.points if share is not None]
    if shares:
        x = linear(f"days since {format_instant(first * DAY_MS)[:10]}", 0, max(1, last - first))
        yield chart("Clicked within a day", drawn, x, linear("percent of those shown", 0, max(1.0, *shares)))
    yield _table(RECOMMENDED_HEADS, [recommended_cells(line) for line in lines], texts=3)
    yield f'<p class="soft">{escape(RECOMMENDED_NOTE)}</p>'


def _chosen_by(by: By) -> str:
    return " ".join(filter(None, (by.block, by.strategy, by.model, f"in a {by.place}")))


def _clicked(daily: dict[int, list[int]], first: int, last: int) -> list[tuple[float, float | None]]:
    """Percent of what was shown on each day."""
    told = [(day - first, daily.get(day, [0, 0])) for day in range(first, last + 1)]
    return [(at, 100 * clicked / shown if shown >= SHOWN_MIN else None) for at, (shown, clicked) in told]


def _expected(told: Bounds) -> str:
    return f"{told.estimate:,.0f} ({told.low:,.0f} to {told.high:,.0f})"


def _table(heads: tuple[str, ...], rows: list[list[str]], texts: int) -> str:
    def row(cells_: list[str] | tuple[str, ...], tag: str) -> str:
        classes = ("" if at < texts else ' class="n"' for at in range(len(cells_)))
        return "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(classes, cells_, strict=True))

    body = "".join(f"<tr>{row(each, 'td')}</tr>" for each in rows)
    return f'<div class="wide"><table><tr>{row(heads, "th")}</tr>{body}</table></div>'
