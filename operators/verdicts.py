"""Every guard's word on one message, in the order in which they are asked, each with what it looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from operators import guards
from operators.experiments import share
from operators.guards import GUARDS, Ask, Verdict
from operators.limits import Limit
from operators.local_time import to_local
from operators.trials import base_of
from state.instants import format_instant

_UNITS = (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1000))


class Said(NamedTuple):
    """`verdict` is None where the guard has no objection; `asked` is False where it spares transactional messages."""

    guard: str
    asked: bool
    verdict: Verdict | None
    detail: str


def of(ask: Ask) -> Iterator[Said]:
    marketing = ask.template.kind == "marketing"
    for guard, spares_transactional in GUARDS:
        name, asked = guard.__name__, marketing or not spares_transactional
        detail = _DETAILS.get(name, _nothing)(ask) if asked else "transactional messages pass it"
        yield Said(name, asked, guard(ask) if asked else None, detail)


def _nothing(_: Ask) -> str:
    return ""


def _stopped(ask: Ask) -> str:
    return "an operator or its failures stopped the flow" if ask.flow in ask.stopped else ""


def _address(ask: Ask) -> str:
    return f"{ask.template.channel} address {'known' if ask.address else 'unknown'}"


def _consent(ask: Ask) -> str:
    place = f"{ask.template.channel}/{ask.template.topic}"
    word = ask.customer.consent(ask.template.channel, ask.template.topic)
    if word is None:
        return f"{place} never given"
    return f"{place} {'given' if word.granted else 'withdrawn'} {_at(word.at)} ({word.id})"


def _suppression(ask: Ask) -> str:
    return ask.customer.suppressed.get(ask.ids.address(ask.address), "") if ask.customer.suppressed else ""


def _holdout(ask: Ask) -> str:
    said = []
    if ask.rules.holdout_percent:
        mine = share(ask.ids, ask.customer.id)
        said.append(f"her share {mine:.1f}, held out below {ask.rules.holdout_percent:g}")
    if ask.holdout_percent:
        mine = share(ask.ids, ask.customer.id, base_of(ask.flow))
        said.append(f"of flow {ask.flow}: her share {mine:.1f}, held out below {ask.holdout_percent:g}")
    return "; ".join(said)


def _cap(ask: Ask) -> str:
    return "; ".join(_count(limit, ask) for limit in ask.limits) or "no cap"


def _count(limit: Limit, ask: Ask) -> str:
    about = f"{limit.of} {limit.name}: " if limit.of else ""
    counted = limit.counted(ask.customer.sent, ask.moment)
    return f"{about}{counted} sent in the last {span(limit.period)}, at most {limit.count}"


def _group(ask: Ask) -> str:
    if ask.rivals is None:
        return "in no group"
    before = ask.rival
    if before is None:
        return f"no other flow of group {ask.rivals.group.name} goes before"
    priority = -ask.rivals.others[before.flow].minus_priority
    why = (
        f"sent {_at(before.since)}, the others pause {span(ask.rivals.pause_ms)}"
        if before.has_sent
        else f"she is inside since {_at(before.since)}"
    )
    who = f"{before.flow} (priority {priority}) goes before priority {ask.priority}"
    return f"group {ask.rivals.group.name}: {who}: {why}"


def _gap(ask: Ask) -> str:
    if not ask.rules.min_gap:
        return "no minimum gap"
    last = max((each.at for each in ask.customer.sent if each.at <= ask.moment), default=None)
    before = f"last one {_at(last)}" if last is not None else "none before"
    return f"{before}, at least {span(ask.rules.min_gap)} between"


def _quiet(ask: Ask) -> str:
    rules = ask.rules
    if rules.quiet_from is None:
        return "no quiet hours"
    local = to_local(ask.moment, ask.time_zone)
    hours = "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in (rules.quiet_from, rules.quiet_to))
    return f"{local.hour:02}:{local.minute:02} in {ask.time_zone}, quiet {hours}"


def _expiry(ask: Ask) -> str:
    deadline = ask.at + round(ask.template.within.total_seconds() * 1000)
    late = f", looked at {_at(ask.latest)}" if ask.latest > deadline else ""
    return f"useful until {_at(deadline)}{late}"


def span(milliseconds: int) -> str:
    """`7 days`, `90 minutes`: in the largest unit that leaves no rest."""
    for unit, size in _UNITS:
        if milliseconds % size == 0:
            count = milliseconds // size
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return f"{milliseconds} ms"


def _at(ms: int) -> str:
    return format_instant(ms)[:16].replace("T", " ") + "Z"


_DETAILS: dict[str, Callable[[Ask], str]] = {
    guards.flow_stopped.__name__: _stopped,
    guards.address.__name__: _address,
    guards.consent.__name__: _consent,
    guards.suppression.__name__: _suppression,
    guards.holdout.__name__: _holdout,
    guards.frequency_cap.__name__: _cap,
    guards.exclusion_group.__name__: _group,
    guards.minimum_gap.__name__: _gap,
    guards.quiet_hours.__name__: _quiet,
    guards.expiry.__name__: _expiry,
}
