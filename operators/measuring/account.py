"""One customer's share of a report: what she was sent, what she did with it, and what her orders came to.

Two ways of crediting an order stand side by side.  *Last touch*: the marketing message that was sent, or opened or
clicked by a person, last before it, within the window of its flow.  *Holdout*: nothing is credited to a message; what
customers bought within the window of their first message is compared with what those bought who were held out at the
same moment.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property

from operators.measuring.ledger import ALL, Draw, Holdout, Ledger, Place
from operators.measuring.mails import Mail, mails_of, read_by_people
from operators.measuring.orders import Order, settled
from operators.measuring.rows import AnyRow, Decided, Drawn, Engaged, Ordered

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
MONDAY_MS = 3 * DAY_MS  # weeks begin on Mondays, time on a Thursday
WINDOW_MS = 7 * DAY_MS
ROWS_MAX = 100_000
BEFORE_THE_HOLDOUT = frozenset({"flow_stopped", "no_address", "no_consent", "suppressed"})
"""Reasons of guards that are asked before the holdout: who is stopped by them was never drawn."""


@dataclass(frozen=True)
class Terms:
    """`windows`: by flow, how long after a message an order may be its doing (ms).  `clock`: up to when orders are
    known, None where none are.  `delivers`: results of couriers are known, so only what was accepted is a touch.
    `own_holdouts`: flows that hold out some of their own.  `experiments`: the flow that each stands in.
    `choices`: those whose shares follow what their arms bring: arms cannot be compared as those of an experiment.
    `since`: messages before it are not counted, nor who came to a flow or an experiment before it compared there."""

    windows: Mapping[str, int]
    currency: str
    clock: int | None
    delivers: bool
    own_holdouts: Set[str] = frozenset()
    choices: Set[str] = frozenset()
    experiments: Mapping[str, str] = field(default_factory=dict)
    since: int = 0

    def window(self, flow: str) -> int:
        return self.windows.get(flow, WINDOW_MS)

    @cached_property
    def longest(self) -> int:
        return max(WINDOW_MS, *self.windows.values(), 0)


def account(rows: Sequence[AnyRow], terms: Terms, ledger: Ledger) -> None:
    """Add one customer, given all of hers in order of time, also what was before `terms.since`: whether a message was
    the first of its flow, or an order the doing of an earlier one, only that tells."""
    ledger.customers += 1
    if len(rows) > ROWS_MAX:
        ledger.cut += 1
        rows = rows[:ROWS_MAX]
    decided = [row for row in rows if isinstance(row, Decided)]
    orders = settled(row for row in rows if isinstance(row, Ordered))
    mails = mails_of(rows)
    for mail in mails:
        people = read_by_people(mail)
        mail.touches = [each.at for each in people]
        if mail.at >= terms.since:
            _count_mail(mail, people, ledger)
    ledger.foreign_orders += sum(order.currency != terms.currency for order in orders)
    touching = _touching(mails, terms)
    for order in orders:
        _credit(order, touching, terms, ledger)
    for mail in mails:
        if mail.orders:
            for place in _places(mail.first):
                ledger.counts[place].converted += 1
    marketing = [row for row in decided if row.marketing]
    _assign(marketing, orders, terms, ledger)
    _try_arms([row for row in rows if isinstance(row, Drawn)], marketing, orders, terms, ledger)


def _count_mail(mail: Mail, people: Sequence[Engaged], ledger: Ledger) -> None:
    seen = [each for each in mail.engaged if each.what in ("opened", "clicked")]
    whats = {each.what for each in mail.engaged}
    by_person = {each.what for each in people}
    clicked = "clicked" in by_person
    opened = clicked or "opened" in by_person  # who follows a link has seen the mail
    for place in _places(mail.first):
        counts = ledger.counts[place]
        if mail.sent_at is None:
            counts.unsent[mail.last.reason] += 1
            continue
        counts.sent += 1
        counts.accepted += mail.accepted_at is not None
        counts.opened += opened
        counts.clicked += clicked
        counts.opened_by_machines += not opened and bool(seen)
        counts.clicked_by_machines += not clicked and "clicked" in whats
        counts.bounced += "bounced" in whats
        counts.complained += "complained" in whats
        counts.unsubscribed += "unsubscribed" in whats
    if mail.sent_at is not None and mail.first.marketing:
        for flow in (ALL, mail.first.flow):
            ledger.days[flow, mail.sent_at // DAY_MS].sent += 1


def _touching(mails: Iterable[Mail], terms: Terms) -> list[tuple[int, str, Mail]]:
    """(when sent, id, mail) of those that an order can be credited to, in this order."""
    return sorted(
        (mail.sent_at, mail.first.message_id, mail)
        for mail in mails
        if mail.sent_at is not None and mail.first.marketing and (mail.accepted_at is not None or not terms.delivers)
    )


def _credit(order: Order, touching: Sequence[tuple[int, str, Mail]], terms: Terms, ledger: Ledger) -> None:
    """Give an order to the message that touched her last.  An order at the moment of a message came before it."""
    best: tuple[int, int, str, Mail] | None = None
    for sent, id, mail in reversed(touching[: bisect_left(touching, (order.at,))]):
        if sent + terms.longest < order.at:
            break
        if order.at <= sent + terms.window(mail.first.flow):
            touched = max((at for at in mail.touches if sent <= at <= order.at), default=sent)
            if best is None or (touched, sent, id) > best[:3]:
                best = touched, sent, id, mail
    if best is None or best[3].at < terms.since:
        return
    mail = best[3]
    mail.orders += 1
    for place in _places(mail.first):
        counts = ledger.counts[place]
        counts.orders += 1
        counts.revenue[order.currency] += order.minor
    for flow in (ALL, mail.first.flow):
        day = ledger.days[flow, order.at // DAY_MS]
        day.orders += 1
        day.revenue += order.minor if order.currency == terms.currency else 0


def _assign(decided: Iterable[Decided], orders: Sequence[Order], terms: Terms, ledger: Ledger) -> None:
    """Take part in the comparisons with the holdout: once in all marketing, and once per flow.

    A flow's first message is the one at which it is seen whether she is held out, so it can be compared.  Later ones
    cannot: they reach those whom the first did not move.
    """
    seen = set[Place]()
    for row in decided:
        if row.reason in BEFORE_THE_HOLDOUT or row.outcome == "replace":
            continue
        if Place() not in seen:
            seen.add(Place())
            _compare(Place(), row, row.held == "shop", orders, terms, ledger)
        if Place(row.flow) in seen or (row.held == "shop" and row.flow in terms.own_holdouts):
            continue  # whom the whole shop holds out is on neither side of a flow's own comparison
        seen.add(Place(row.flow))
        for place in (Place(row.flow), Place(row.flow, row.message)):
            _compare(place, row, bool(row.held), orders, terms, ledger)
        if row.experiment and row.at >= terms.since:
            ledger.trials[Place(row.flow, ALL, row.experiment, row.arm)].add(held=False)


def _try_arms(
    drawn: Sequence[Drawn], decided: Iterable[Decided], orders: Sequence[Order], terms: Terms, ledger: Ledger
) -> None:
    """Take part in the comparison of arms, as drawn; where only decisions are known, from the first one in the arm."""
    known = {row.experiment for row in drawn}
    decided = [row for row in decided if row.experiment and row.experiment not in terms.choices]
    before = {row.experiment for row in drawn if row.at < terms.since}
    before |= {row.experiment for row in decided if row.at < terms.since}
    for row in drawn:
        if row.experiment in before:
            continue
        place = Place(terms.experiments.get(row.experiment, ALL), experiment=row.experiment)
        _try_arm(place, row, row.arm, row.propensity, orders, terms, ledger)
    for decision in decided:
        if decision.experiment not in known and decision.experiment not in before:
            known.add(decision.experiment)
            place = Place(decision.flow, experiment=decision.experiment)
            _try_arm(place, decision, decision.arm, decision.propensity, orders, terms, ledger)


def _try_arm(
    place: Place,
    row: Decided | Drawn,
    arm: str,
    propensity: float | None,
    orders: Sequence[Order],
    terms: Terms,
    ledger: Ledger,
) -> None:
    arms = ledger.arms[place]
    arms.drawn[arm] += 1
    arms.draws[Draw(arm, propensity, isinstance(row, Drawn))] += 1
    did = _did(row.at, place.flow, orders, terms)
    if did is not None:
        arms.outcomes[arm].add(*did)


def _compare(place: Place, row: Decided, held: bool, orders: Sequence[Order], terms: Terms, ledger: Ledger) -> None:
    if row.at < terms.since:
        return
    trial = ledger.trials[place]
    trial.add(held, _holdout(place, row, terms))
    did = _did(row.at, row.flow, orders, terms)
    if did is not None:
        trial.week((row.at + MONDAY_MS) // WEEK_MS)[held].add(*did)


def _holdout(place: Place, row: Decided, terms: Terms) -> Holdout | None:
    """The holdout that this comparison is with, as it was then; of nobody where there was none, None where the
    decision does not tell."""
    if row.experiment or (row.held and not row.holdout) or (row.holdout == "flow" and not place.flow):
        return None
    if not row.holdout or (row.holdout == "shop" and place.flow in terms.own_holdouts):
        return "", 0.0
    return row.holdout, row.holdout_share


def _did(at: int, flow: str, orders: Sequence[Order], terms: Terms) -> tuple[bool, int, int] | None:
    """Whether she bought within the window, what she spent in it, and before.  None while it is not over.

    A window that is still open says less of those who came last, and differently so from day to day: waiting for
    its end is what keeps a comparison valid whenever it is looked at.
    """
    end = at + terms.window(flow)
    if terms.clock is None or end > terms.clock:
        return None
    bought, spent, before = False, 0, 0
    for order in orders:
        ours = order.minor if order.currency == terms.currency else 0
        if order.at <= at:
            before += ours
        elif order.at <= end:
            bought = True
            spent += ours
    return bought, spent, before


def _places(row: Decided) -> list[Place]:
    places = [Place(), Place(row.flow), Place(row.flow, row.message)]
    if not row.marketing:
        places = places[1:]
    if row.experiment:
        places.append(Place(row.flow, ALL, row.experiment, row.arm))
        places.append(Place(row.flow, row.message, row.experiment, row.arm))
    return places
