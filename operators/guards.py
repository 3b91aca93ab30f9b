"""What stands between a flow that wants to send and a customer who may not want to hear.

Each guard looks at one thing and says nothing, or how it stops the message.  They are asked in the
order of `GUARDS`, and the first that speaks decides.  A transactional message passes those that
protect from marketing.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

import msgspec

from operators.exclusion import Rival, Rivals, rival
from operators.experiments import is_held_out
from operators.flow import Template
from operators.limits import Limit
from operators.local_time import minute_of_day, next_minute_of_day
from operators.trials import base_of
from state.customer import Customer
from state.decisions import Outcome, Reason
from state.ids import Ids
from state.phones import e164


@dataclass(frozen=True)
class Rules:
    """The shop's own limits, as its configuration states them.  Times in milliseconds, hours as minutes of the day.

    `cap` is on all marketing messages together, `caps` are on channels, topics and flows.
    """

    cap: int | None = None
    cap_period: int = 0
    caps: tuple[Limit, ...] = ()
    quiet_from: int | None = None
    quiet_to: int = 0
    time_zone: str = "UTC"
    min_gap: int = 0
    holdout_percent: float = 0.0
    send_mode: Literal["live", "mute", "only"] = "live"
    allow: frozenset[str] = field(default_factory=frozenset[str])

    @cached_property
    def limits(self) -> tuple[Limit, ...]:
        return self.caps if self.cap is None else (Limit(self.cap, self.cap_period), *self.caps)


class Verdict(NamedTuple):
    outcome: Outcome
    reason: Reason
    until: int = 0


class Ask(msgspec.Struct):
    """May this message go to this customer at this moment?

    `at` is when the message was first decided; `moment` is now, by the decision's clock; `latest` is
    now by whichever clock judges lateness.
    """

    rules: Rules
    ids: Ids
    customer: Customer
    template: Template[Any]
    flow: str
    priority: int
    stopped: Set[str]
    at: int
    moment: int
    latest: int
    won: dict[int, int]  # moment → priority of the marketing message sent at it, in this transition
    target: str = ""  # where a webhook goes
    limits: tuple[Limit, ...] = ()  # those that the message counts against
    rivals: Rivals | None = None  # the other flows of its group
    entered_at: int = 0
    holdout_percent: float = 0.0  # of the flow

    @property
    def rival(self) -> Rival | None:
        """The flow of its group that goes before this one."""
        if self.rivals is None:
            return None
        return rival(self.rivals, self.customer, self.entered_at, self.moment, self.stopped, self.ids)

    @property
    def address(self) -> str:
        traits, channel = self.customer.traits, self.template.channel
        if channel == "email":
            return traits.email
        if channel == "sms":
            return e164(traits.phone)
        return next(iter(self.devices), "") if channel == "push" else self.target

    @property
    def devices(self) -> list[str]:
        """Push tokens, the one registered last first."""
        devices = self.customer.devices
        return sorted(devices, key=lambda token: (-devices[token], token))

    @property
    def time_zone(self) -> str:
        return self.customer.traits.time_zone or self.rules.time_zone


def judge(ask: Ask) -> Verdict | None:
    """The first objection, or None: send it."""
    for guard in _ALL if ask.template.kind == "marketing" else _FOR_TRANSACTIONAL:
        verdict = guard(ask)
        if verdict is not None:
            return verdict
    return None


def flow_stopped(ask: Ask) -> Verdict | None:
    return Verdict("skip", "flow_stopped") if ask.flow in ask.stopped else None


def address(ask: Ask) -> Verdict | None:
    return None if ask.address else Verdict("skip", "no_address")


def consent(ask: Ask) -> Verdict | None:
    given = ask.customer.consent(ask.template.channel, ask.template.topic)
    return None if given is not None and given.granted else Verdict("skip", "no_consent")


def suppression(ask: Ask) -> Verdict | None:
    suppressed = ask.customer.suppressed
    return Verdict("skip", "suppressed") if suppressed and ask.ids.address(ask.address) in suppressed else None


def holdout(ask: Ask) -> Verdict | None:
    """The shop's own, then the flow's."""
    held = is_held_out(ask.ids, ask.customer.id, ask.rules.holdout_percent) or is_held_out(
        ask.ids, ask.customer.id, ask.holdout_percent, base_of(ask.flow)
    )
    return Verdict("skip", "holdout") if held else None


def frequency_cap(ask: Ask) -> Verdict | None:
    sent = ask.customer.sent
    for limit in ask.limits:
        if len(sent) >= limit.count and limit.counted(sent, ask.moment) >= limit.count:
            return Verdict("skip", "cap")
    return None


def exclusion_group(ask: Ask) -> Verdict | None:
    return Verdict("skip", "arbitration") if ask.rival is not None else None


def minimum_gap(ask: Ask) -> Verdict | None:
    """Marketing messages keep a distance; of two at one moment the higher priority has gone first."""
    gap = ask.rules.min_gap
    if not gap:
        return None
    last = max((each.at for each in ask.customer.sent if each.at <= ask.moment), default=None)
    if last is None or last + gap <= ask.moment:
        return None
    if ask.won.get(ask.moment, ask.priority) > ask.priority:
        return Verdict("skip", "arbitration")
    return Verdict("defer", "min_gap", last + gap)


def quiet_hours(ask: Ask) -> Verdict | None:
    until = quiet_until(ask.rules, ask.moment, ask.time_zone)
    return None if until is None else Verdict("defer", "quiet_hours", until)


def expiry(ask: Ask) -> Verdict | None:
    return Verdict("skip", "expired") if ask.latest > ask.at + ask.template.within_ms else None


GUARDS: tuple[tuple[Callable[[Ask], Verdict | None], bool], ...] = (
    (flow_stopped, False),
    (address, False),
    (consent, True),
    (suppression, False),
    (holdout, True),
    (frequency_cap, True),
    (exclusion_group, True),
    (minimum_gap, True),
    (quiet_hours, True),
    (expiry, False),
)
_ALL = tuple(guard for guard, _ in GUARDS)
_FOR_TRANSACTIONAL = tuple(guard for guard, spares_transactional in GUARDS if not spares_transactional)


def quiet_until(rules: Rules, moment: int, time_zone: str) -> int | None:
    """When the quiet hours end that this moment is in; None outside of them."""
    if rules.quiet_from is None or rules.quiet_from == rules.quiet_to:
        return None
    minute = minute_of_day(moment, time_zone)
    if rules.quiet_from < rules.quiet_to:
        quiet = rules.quiet_from <= minute < rules.quiet_to
    else:
        quiet = minute >= rules.quiet_from or minute < rules.quiet_to
    return next_minute_of_day(moment, rules.quiet_to, time_zone) if quiet else None
