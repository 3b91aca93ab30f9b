"""From a flow's wish to send to a decision: asks the guards, writes down what they said, hands the message on.

The same look is taken at a message when it is first wanted, when a deferral ends and when a retry is
due, so consent, quiet hours and expiry always count as they are then.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import msgspec

from operators.breaker import Breaker
from operators.caps import Caps
from operators.effects import Effects
from operators.experiments import Choice, choice
from operators.guards import Ask, Rules, Verdict, judge, quiet_until
from operators.local_time import next_minute_of_day
from operators.program import Program
from operators.recommender.histories import history_of
from operators.steps import Template
from operators.trials import base_of, is_shadow
from operators.versions import Versions
from state import event_codec
from state.customer import Customer, Sent
from state.decisions import Cause, Decision, Outcome, Reason, timer_cause
from state.ids import Ids
from state.instants import format_instant
from state.messages import Message
from state.passages import EVENT_CLOCK, WALL_CLOCK, Pending
from state.phones import e164
from state.recommendations import Wanted

FRESH_MS = 10 * 60_000
RESULT_SLACK_MS = 60 * 60_000
CONTENT_BYTES_MAX = 256 * 1024
ATTEMPTS_MAX = 200
OUT_OF_REACH: frozenset[Reason] = frozenset({"no_address", "no_consent", "suppressed"})
_TOLD_MS = 400 * 86_400_000


class Turn(msgspec.Struct):
    """One transition of one customer: whom it moves, when (wall), because of what, and what it leads to."""

    customer: Customer
    wall: int
    effects: Effects
    cause: Cause
    appended_at: float = 0.0
    stalled: bool = False
    won: dict[int, int] = {}


class Sending:
    """Decides about messages.  `clock` says by which time lateness is judged; without `sends` nothing leaves."""

    def __init__(
        self,
        program: Program,
        rules: Rules,
        ids: Ids,
        breaker: Breaker,
        *,
        clock: Literal["live", "replay"],
        sends: bool,
    ) -> None:
        self._program = program
        self._rules = rules
        self._ids = ids
        self._breaker = breaker
        self._live = clock == "live"
        self._sends = sends and rules.send_mode != "mute"
        self._judge: Callable[[Ask], Verdict | None] = judge
        self._caps = Caps(program, rules)
        self._versions = Versions(program, ids, breaker)

    def look(self, turn: Turn, pending: Pending, moment: int) -> str:
        """Decide, at this moment of event time, what becomes of a message, or of the one that goes in its place.

        The pending message must have been taken off the customer; it is put back where it is to wait.
        Returns the id of the message decided about last.  Raises whatever the flow's own code raises.
        """
        template = self._program.templates.get(pending.template)
        flow = self._versions.at(pending.flow, turn.customer.id, pending.wait)
        if template is None or flow is None:
            # Edited while the message was put off: it is no more, and the customer goes on without it.
            self.decide(turn, pending, moment, "skip", "flow_stopped" if flow is None else "no_content")
            return pending.message_id
        was_sent = _was_sent(turn.customer, pending)
        ask = Ask(
            rules=self._rules,
            ids=self._ids,
            customer=turn.customer,
            template=template,
            flow=pending.flow,
            priority=flow.priority,
            stopped=self._breaker.stopped,
            at=pending.at,
            moment=moment,
            latest=turn.wall if self._live and not was_sent else moment,
            won=turn.won,
            target=_target(template, turn.customer, pending) if template.channel == "webhook" else "",
            limits=self._caps.limits(flow, template.name),
            rivals=self._caps.rivals(flow),
            entered_at=pending.entered_at,
            holdout_percent=flow.holdout_percent,
        )
        verdict = self._judge(ask) or (None if self._live else _exhausted(pending))
        if verdict is not None and verdict.outcome == "skip" and was_sent:
            verdict = None  # what stands against it came since, or was not known yet
        if verdict is not None:
            if pending.otherwise and verdict.reason in OUT_OF_REACH:
                other = self.replace(turn, pending, moment, verdict.reason)
                if other is not None:
                    return self.look(turn, other, moment)
            self.decide(turn, pending, moment, verdict.outcome, verdict.reason, verdict.until)
            if verdict.outcome == "defer":
                self.park(turn.customer, pending, verdict.until, EVENT_CLOCK, verdict.reason)
            return pending.message_id
        event = event_codec.decode(pending.event)
        content = msgspec.json.encode(template.content(event, turn.customer))
        if len(content) > CONTENT_BYTES_MAX:
            self.decide(turn, pending, moment, "skip", "no_content")
            return pending.message_id
        self.decide(turn, pending, moment, "send")
        _note(turn.customer, template.name, moment)
        if template.kind == "marketing":
            turn.won[moment] = max(flow.priority, turn.won.get(moment, flow.priority))
            sent = Sent(moment, pending.message_id, base_of(flow.name), template.channel, template.topic)
            self._caps.count(turn.customer, sent)
        if self._sends and not is_shadow(flow.name) and (self._rules.send_mode == "live" or _is_allowed(ask)):
            self._hand_on(turn, pending, template, ask, content)
        return pending.message_id

    def replace(self, turn: Turn, pending: Pending, moment: int, reason: Reason) -> Pending | None:
        """Decide that another message goes in its place, and which; None (and no decision) where there is none left."""
        for place, (name, step) in enumerate(pending.otherwise, 1):
            other = self._program.templates.get(name)
            if other is not None:
                self.decide(turn, pending, moment, "replace", reason, replaced_by=name)
                return msgspec.structs.replace(
                    pending,
                    message_id=self._ids.message(pending.passage, step),
                    step=step,
                    template=name,
                    channel=other.channel,
                    kind=other.kind,
                    decisions=0,
                    awaiting=False,
                    attempt=0,
                    refusals=0,
                    address="",
                    otherwise=pending.otherwise[place:],
                    instead_of=pending.message_id,
                )
        return None

    def decide(
        self,
        turn: Turn,
        pending: Pending,
        moment: int,
        outcome: Outcome,
        reason: Reason = "",
        until: int = 0,
        replaced_by: str = "",
    ) -> None:
        template: Template[Any] | Pending = self._program.templates.get(pending.template) or pending
        flow = self._versions.at(pending.flow, turn.customer.id, pending.wait)
        consent = None
        experiment, arm, propensity = pending.experiment, pending.arm, pending.propensity
        shares, context = pending.shares, pending.context
        if template.kind == "marketing":
            if isinstance(template, Template):
                consent = turn.customer.consent(template.channel, template.topic)
            everywhere, in_flow = self._rules.holdout_percent, flow.holdout_percent if flow else 0.0
            if everywhere or in_flow:
                chosen = Choice(experiment, arm, propensity)
                chosen = choice(self._ids, turn.customer.id, chosen, everywhere, base_of(pending.flow), in_flow)
                experiment, arm, propensity = chosen
                if experiment != pending.experiment:
                    shares, context = 0, ""
        turn.effects.decisions.append(
            Decision(
                decision_id=f"{pending.message_id}-{pending.decisions}",
                message_id=pending.message_id,
                at=format_instant(moment),
                customer=turn.customer.id,
                flow=pending.flow,
                flow_version=self._program.version_of(flow),
                passage=pending.passage,
                step=pending.step,
                message=pending.template,
                channel=template.channel,
                kind=template.kind,
                outcome=outcome,
                reason=reason,
                until=format_instant(until) if until else "",
                cause=turn.cause,
                experiment=experiment,
                arm=arm,
                propensity=propensity,
                consent_id=consent.id if consent is not None else "",
                stalled=turn.stalled,
                replaced_by=replaced_by,
                instead_of=pending.instead_of,
                shares=shares,
                context=context,
            )
        )

    def park(self, customer: Customer, pending: Pending, due: int, clock: int, why: str, refusals: int = 0) -> None:
        """Put a message off, after a decision that says so."""
        put_off = msgspec.structs.replace(
            pending,
            decisions=pending.decisions + 1,
            due=due,
            clock=clock,
            awaiting=False,
            refusals=pending.refusals + refusals,
            why=why,
        )
        customer.pending = [*customer.pending, put_off]

    def again(self, turn: Turn, pending: Pending) -> str:
        """Look again, as `look` does, at a message whose deferral or retry was due."""
        turn.cause = timer_cause(pending.wait, pending.due)
        moment = pending.due if pending.clock == EVENT_CLOCK or self._live else pending.at
        if pending.clock == WALL_CLOCK and self._live:
            # What was sent meanwhile counts, also where the retry was due before that.
            moment = max([moment, *(each.at for each in turn.customer.sent)])
        return self.look(turn, pending, moment)

    def _hand_on(self, turn: Turn, pending: Pending, template: Template[Any], ask: Ask, content: bytes) -> None:
        traits = turn.customer.traits
        attempt = pending.attempt + 1
        turn.customer.pending = [
            *turn.customer.pending,
            msgspec.structs.replace(
                pending,
                decisions=pending.decisions + 1,
                due=turn.wall + template.within_ms + RESULT_SLACK_MS,
                clock=WALL_CLOCK,
                awaiting=True,
                attempt=attempt,
                address=ask.address,
                why="",
            ),
        ]
        turn.effects.messages.append(
            Message(
                message_id=pending.message_id,
                attempt=attempt,
                customer=turn.customer.id,
                flow=pending.flow,
                template=template.name,
                channel=template.channel,
                kind=template.kind,
                topic=template.topic if template.kind == "marketing" else "",
                address=ask.address,
                locale=traits.locale,
                time_zone=ask.time_zone,
                content=msgspec.json.decode(content),
                fresh_until=self._fresh_until(turn.wall, ask),
                refusals=pending.refusals,
                at_most_once=template.at_most_once,
                appended_at=turn.appended_at,
                more=tuple(ask.devices[1:]) if template.channel == "push" else (),
                at=pending.at,
                wanted=_wanted(template, turn.customer),
            )
        )

    def _fresh_until(self, wall: int, ask: Ask) -> int:
        rules = self._rules
        if not self._live or rules.quiet_from is None or ask.template.kind != "marketing":
            return wall + FRESH_MS
        if quiet_until(rules, wall, ask.time_zone) is not None:
            return wall - 1  # decided before the quiet hours, handed on in them: it is looked at again
        return min(wall + FRESH_MS, _next_quiet(wall // 60_000, rules.quiet_from, ask.time_zone))


def _target(template: Template[Any], customer: Customer, pending: Pending) -> str:
    to = template.to
    return to if isinstance(to, str) else to(event_codec.decode(pending.event), customer)


def _wanted(template: Template[Any], customer: Customer) -> Wanted | None:
    asked = template.recommends
    if asked is None:
        return None
    return Wanted(block=asked.block, count=asked.count, at_least=asked.at_least, history=history_of(customer))


def _was_sent(customer: Customer, pending: Pending) -> bool:
    """Whether a courier has told of this attempt: a shard put back looks again at what was in time then."""
    return any(
        each.message_id == pending.message_id and each.attempt > pending.attempt for each in customer.early_results
    )


def _is_allowed(ask: Ask) -> bool:
    """Whether she is one of those whom a deployment for trials may reach, on every channel."""
    traits, allow = ask.customer.traits, ask.rules.allow
    return traits.email in allow or (bool(traits.phone) and e164(traits.phone) in allow)


@lru_cache(maxsize=512)
def _next_quiet(minute: int, quiet_from: int, time_zone: str) -> int:
    return next_minute_of_day(minute * 60_000, quiet_from, time_zone)


def _exhausted(pending: Pending) -> Verdict | None:
    """On the replay clock lateness does not end retries; their number does."""
    return Verdict("skip", "expired") if pending.attempt >= ATTEMPTS_MAX else None


def _note(customer: Customer, template: str, moment: int) -> None:
    since = moment - _TOLD_MS
    told = {name: at for name, at in customer.told.items() if at > since}
    told[template] = moment
    customer.told = told
