"""A report's lines, as numbers: the sums of a ledger with what may be said of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import msgspec

from operators.measuring.account import DAY_MS, MONDAY_MS, WEEK_MS
from operators.measuring.assignment import Ratio, of_arms, of_holdout
from operators.measuring.cohorts import Novelty, novelty
from operators.measuring.cuped import adjusted, variance_left
from operators.measuring.forecast import forecast
from operators.measuring.ledger import ALL, Counts, Ledger, Place, Trial
from operators.measuring.lift import ALPHA, Interval, conversion_lift, revenue_lift
from operators.measuring.outcomes import Outcomes
from state.instants import format_instant
from state.money import Money, exponent


class Bounds(msgspec.Struct, frozen=True):
    """An interval; None where nothing can be said on that side."""

    estimate: float | None
    low: float | None
    high: float | None


class Lift(msgspec.Struct, frozen=True, kw_only=True):
    """Customers whose window is over.  `conversion` relative, `revenue` per customer, `incremental_…` of all treated.

    `proven` says that the conversion's interval lies to one side of nothing.  `variance_left` is the share of the
    revenue's variance that CUPED leaves.
    """

    against: str
    treated: int
    control: int
    treated_converted: int
    control_converted: int
    conversion: Bounds
    revenue: Bounds
    currency: str
    incremental_orders: Bounds
    incremental_revenue: Bounds
    variance_left: float
    proven: bool


class Amount(msgspec.Struct, frozen=True):
    amount: str
    currency: str


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line; an empty `flow` is all marketing, an empty `message` or `arm` all of the flow's."""

    flow: str
    message: str
    experiment: str
    arm: str
    sent: int
    accepted: int | None
    opened: int
    clicked: int
    converted: int | None
    orders: int | None
    revenue: list[Amount] | None
    lift: Lift | None
    srm: Ratio | None
    opened_by_machines: int
    clicked_by_machines: int
    bounced: int
    complained: int
    unsubscribed: int
    unsent: dict[str, int]


class Week(msgspec.Struct, frozen=True):
    """Customers assigned in the week from this Monday on, and the lift among them."""

    monday: str
    treated: int
    control: int
    conversion: Bounds


class Cohorts(msgspec.Struct, frozen=True):
    """`verdict`: empty as long as the first weeks and the later ones do not differ beyond chance."""

    flow: str
    weeks: list[Week]
    new: Bounds
    later: Bounds
    verdict: str


class Coming(msgspec.Struct, frozen=True):
    """What the weeks from this day on are expected to bring, with the range nine in ten fall into."""

    flow: str
    day: str
    sent: Bounds
    orders: Bounds
    revenue: Bounds


class Report:
    """Reads a ledger.  `clock`: up to when orders are known, or None.

    `holdout`: the share that was to be held out of all marketing, `own_holdouts`: of single flows.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        currency: str,
        holdout: float,
        clock: int | None,
        delivers: bool,
        own_holdouts: Mapping[str, float] = MappingProxyType({}),
        flow: str | None = None,
    ) -> None:
        self.ledger, self.currency, self.clock = ledger, currency, clock
        self.flow, self._delivers = flow, delivers
        self._holdout, self._own_holdouts = holdout, own_holdouts

    def lines(self) -> Iterator[Line]:
        for place in self._places():
            if self._shows(place.flow):
                yield self._line(place, self.ledger.counts.get(place, Counts()))

    def cohorts(self) -> Iterator[Cohorts]:
        for place in self._flows_compared():
            weeks = self.ledger.trials[place].weeks
            if len(weeks) > 1:
                yield _cohorts(place.flow, weeks, novelty(weeks))

    def coming(self) -> Iterator[Coming]:
        for flow in sorted({flow for flow, _ in self.ledger.days if self._shows(flow)}):
            yield from self._coming(flow)

    def daily(self, flow: str) -> tuple[int, list[tuple[int, int, int]]]:
        """The first day since 1970, and (sent, orders, revenue) of each up to the last that is over."""
        days = [day for name, day in self.ledger.days if name == flow]
        if not days:
            return 0, []
        end = self.clock // DAY_MS if self.clock is not None else max(days) + 1
        found = (self.ledger.days.get((flow, day)) for day in range(min(days), end))
        return min(days), [(day.sent, day.orders, day.revenue) if day else (0, 0, 0) for day in found]

    def _places(self) -> list[Place]:
        silent = {place._replace(arm=arm) for place, arms in self.ledger.arms.items() for arm in arms.drawn}
        return sorted({*self.ledger.counts, *self.ledger.trials, *silent})

    def _shows(self, flow: str) -> bool:
        return self.flow is None or flow == self.flow

    def _flows_compared(self) -> list[Place]:
        return [place for place in sorted(self.ledger.trials) if place == Place(place.flow) and self._shows(place.flow)]

    def _line(self, place: Place, counts: Counts) -> Line:
        is_known = self.clock is not None
        return Line(
            flow=place.flow,
            message=place.message,
            experiment=place.experiment,
            arm=place.arm,
            sent=counts.sent,
            accepted=counts.accepted if self._delivers else None,
            opened=counts.opened,
            clicked=counts.clicked,
            converted=counts.converted if is_known else None,
            orders=counts.orders if is_known else None,
            revenue=[Amount(str(Money(minor, name).amount), name) for name, minor in sorted(counts.revenue.items())]
            if is_known
            else None,
            lift=self._lift(place),
            srm=self._ratio(place),
            opened_by_machines=counts.opened_by_machines,
            clicked_by_machines=counts.clicked_by_machines,
            bounced=counts.bounced,
            complained=counts.complained,
            unsubscribed=counts.unsubscribed,
            unsent=dict(sorted(counts.unsent.items())),
        )

    def _lift(self, place: Place) -> Lift | None:
        """Against the holdout, where there is one; of an arm, else, against the experiment's control."""
        trial = self.ledger.trials.get(place._replace(experiment=ALL, arm=ALL))
        if not place.arm:
            return self._told("holdout", *trial.together(), ALPHA) if trial is not None and trial.held else None
        arms = self.ledger.arms.get(place._replace(arm=ALL))
        if arms is None or place.arm not in arms.drawn:
            return None  # in an arm that was taken out, those who were drawn anew count where they are now
        treated, others = arms.outcomes[place.arm], len(arms.drawn)
        if trial is not None and trial.held and self._all_came_to(place, trial):
            return self._told("holdout", treated, trial.together()[1], ALPHA / others)
        if place.arm == arms.control:
            return None
        return self._told(arms.control, treated, arms.outcomes[arms.control], ALPHA / (others - 1))

    def _all_came_to(self, place: Place, trial: Trial) -> bool:
        """Whether everybody treated came to the experiment with her first message, so that the held out would have."""
        same = place._replace(arm=ALL)
        came = sum(each.treated for at, each in self.ledger.trials.items() if at.arm and at._replace(arm=ALL) == same)
        return came == trial.treated

    def _told(self, against: str, treated: Outcomes, control: Outcomes, alpha: float) -> Lift | None:
        if not treated.customers or not control.customers:
            return None
        conversion = conversion_lift(treated, control, alpha)
        revenue = revenue_lift(*adjusted(treated, control), alpha)
        per_unit = 10 ** -exponent(self.currency)
        return Lift(
            against=against,
            treated=treated.customers,
            control=control.customers,
            treated_converted=treated.buyers,
            control_converted=control.buyers,
            conversion=bounds(conversion),
            revenue=bounds(revenue, per_unit),
            currency=self.currency,
            incremental_orders=bounds(_incremental(conversion, treated.buyers)),
            incremental_revenue=bounds(revenue, per_unit * treated.customers),
            variance_left=variance_left(treated, control),
            proven=conversion.excludes_zero,
        )

    def _ratio(self, place: Place) -> Ratio | None:
        """Of the holdout, or, on the line of an arm, of the experiment it belongs to."""
        if place.arm:
            return of_arms(self.ledger.arms.get(place._replace(message=ALL, arm=ALL)))
        trial = self.ledger.trials.get(place)
        return of_holdout(trial, self._own_holdouts.get(place.flow) or self._holdout) if trial is not None else None

    def _coming(self, flow: str) -> Iterator[Coming]:
        first, days = self.daily(flow)
        told = [forecast([day[number] for day in days]) for number in range(3)]
        per_unit = 10 ** -exponent(self.currency)
        for ahead, (sent, orders, revenue) in enumerate(zip(*told, strict=True)):
            day = format_instant((first + len(days)) * DAY_MS + ahead * WEEK_MS)[:10]
            yield Coming(flow, day, bounds(sent), bounds(orders), bounds(revenue, per_unit))


def bounds(interval: Interval, unit: float = 1) -> Bounds:
    def finite(value: float) -> float | None:
        return value * unit if math.isfinite(value) else None

    return Bounds(*map(finite, interval))


def _incremental(lift: Interval, buyers: int) -> Interval:
    """Of so many buyers, how many would not have been without: a share 1 − 1/(1 + lift)."""

    def share(value: float) -> float:
        if math.isnan(value):
            return value
        return 1 - 1 / (1 + value) if value > -1 else -math.inf

    return Interval(*(buyers * share(value) if buyers else 0.0 for value in lift))


def _cohorts(flow: str, weeks: dict[int, tuple[Outcomes, Outcomes]], told: Novelty) -> Cohorts:
    def week(number: int, lift: Interval) -> Week:
        treated, control = weeks[number]
        monday = format_instant(number * WEEK_MS - MONDAY_MS)[:10]
        return Week(monday, treated.customers, control.customers, bounds(lift))

    return Cohorts(
        flow,
        [week(number, lift) for number, lift in told.by_week.items()],
        bounds(told.new),
        bounds(told.later),
        told.verdict,
    )
