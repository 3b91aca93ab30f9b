"""A report on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from operators.measuring.figures import Bounds, Coming, Line, Report
from operators.measuring.ledger import ALL

WIDTH_IN_A_PIPE = 160
ALL_MARKETING = "all marketing"
VERDICTS = {"": "no difference shown", "fades": "it was new", "grows": "it does more than at first"}


def show(report: Report, console: Console) -> None:
    table = Table("flow", "message", "arm", title="By flow, message and arm")
    for head in ("sent", "accepted", "opened", "clicked", "converted", "revenue", "lift", "a customer", "SRM"):
        table.add_column(head, justify="right")
    for line in report.lines():
        table.add_row(*cells(line))
    console.print(table)
    cohorts = list(report.cohorts())
    if cohorts:
        weeks = Table("flow", title="New, or still good: lift by when customers got their first message")
        for head in ("in the first two weeks", "later", "verdict"):
            weeks.add_column(head, justify="right")
        for each in cohorts:
            weeks.add_row(each.flow or ALL_MARKETING, percent(each.new), percent(each.later), VERDICTS[each.verdict])
        console.print(weeks)
    coming = [week for week in report.coming() if week.flow == (report.flow or ALL)]
    if coming:
        ahead = Table("flow", "week from", title="The coming weeks, nine in ten within")
        for head in ("sent", "orders", "revenue"):
            ahead.add_column(head, justify="right")
        for week in coming:
            ahead.add_row(*_ahead(week))
        console.print(ahead)
    for note in notes(report):
        console.print(note, style="dim", highlight=False)


def cells(line: Line) -> list[str]:
    """One line of the table, as texts."""
    lift = line.lift
    revenue = ", ".join(f"{each.amount} {each.currency}" for each in line.revenue or [])
    return [
        line.flow or ALL_MARKETING,
        line.message,
        f"{line.experiment}: {line.arm}" if line.arm else "",
        f"{line.sent:,}",
        _count(line.accepted),
        f"{line.opened:,}",
        f"{line.clicked:,}",
        _count(line.converted),
        revenue or ("–" if line.revenue is None else "0"),
        f"{percent(lift.conversion)}{' ✓' if lift.proven else ''}" if lift else "",
        f"{number(lift.revenue)} {lift.currency}" if lift else "",
        f"{line.srm.p_value:.3g}{' !' if line.srm.alarm else ''}" if line.srm else "",
    ]


def notes(report: Report) -> Iterator[str]:
    """How to read it, and what it leaves out."""
    yield (
        "lift: how many percent more bought than of those held out (of an experiment without a holdout: than of its "
        "first arm), with an interval that holds at 95 % however often one looks; ✓ where it lies to one side of "
        "nothing. Only customers count whose window is over. a customer: difference in revenue, each."
    )
    yield "SRM: below 0.01 (!) the arms are not as they were drawn, and no other number of that line can be trusted."
    yield "opened, clicked: by people; picture proxies and link scanners do not count. revenue: by last touch, net."
    if report.clock is None:
        yield "Orders are not known here. Name the files of events to see what was bought."
    ledger = report.ledger
    if ledger.foreign_orders:
        yield f"{ledger.foreign_orders} orders in other currencies convert, but their revenue is in no lift."
    if ledger.cut:
        yield f"{ledger.cut} customers have more events than are looked at; they are counted up to there."


def percent(told: Bounds) -> str:
    """+12.0 % [+3.1, +22.4]"""
    if told.estimate is None:
        return "–"
    low, high = ("∞" if edge is None else f"{100 * edge:+.1f}" for edge in (told.low, told.high))
    return f"{100 * told.estimate:+.1f} % [{low}, {high}]"


def number(told: Bounds) -> str:
    if told.estimate is None:
        return "–"
    if told.low is None or told.high is None:
        return f"{told.estimate:+.2f} [?]"
    return f"{told.estimate:+.2f} [{told.low:+.2f}, {told.high:+.2f}]"


def _ahead(week: Coming) -> list[str]:
    def told(bounds: Bounds, digits: int) -> str:
        return f"{bounds.estimate:,.{digits}f} ({bounds.low:,.{digits}f} to {bounds.high:,.{digits}f})"

    return [week.flow or ALL_MARKETING, week.day, told(week.sent, 0), told(week.orders, 0), told(week.revenue, 2)]


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
