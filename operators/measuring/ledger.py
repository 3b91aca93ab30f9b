"""What a report adds up, for one flow, message and arm after the other: sums that do not grow with the customers."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from operators.measuring.outcomes import Outcomes

ALL = ""
"""In place of a flow: all marketing together.  In place of a message or an arm: all of the flow's."""


CONTROLS = frozenset({"control", "nothing", "none"})


class Place(NamedTuple):
    """What a line of a report is about."""

    flow: str = ALL
    message: str = ALL
    experiment: str = ALL
    arm: str = ALL


@dataclass(slots=True)
class Counts:
    """Messages, each counted once; money in minor units by currency, by the last touch before each order."""

    sent: int = 0
    accepted: int = 0
    opened: int = 0
    clicked: int = 0
    opened_by_machines: int = 0
    clicked_by_machines: int = 0
    bounced: int = 0
    complained: int = 0
    unsubscribed: int = 0
    converted: int = 0
    orders: int = 0
    revenue: Counter[str] = field(default_factory=Counter[str])
    unsent: Counter[str] = field(default_factory=Counter[str])  # by the reason of their last decision


Holdout = tuple[str, float]
"""Of the "shop", of the "flow", or of nobody, with its share."""


@dataclass(slots=True)
class Trial:
    """Customers by whether they were held out, and what those did whose time is over, by week of assignment.

    `by_holdout`: how many were treated and held out, by whose holdout it was and its share then; None: not known.
    """

    treated: int = 0
    held: int = 0
    by_holdout: dict[Holdout | None, tuple[int, int]] = field(default_factory=dict)
    weeks: dict[int, tuple[Outcomes, Outcomes]] = field(default_factory=dict)

    def add(self, held: bool, holdout: Holdout | None = None) -> None:
        self.held += held
        self.treated += not held
        before = self.by_holdout.get(holdout, (0, 0))
        self.by_holdout[holdout] = before[0] + (not held), before[1] + held

    def week(self, number: int) -> tuple[Outcomes, Outcomes]:
        return self.weeks.setdefault(number, (Outcomes(), Outcomes()))

    def together(self) -> tuple[Outcomes, Outcomes]:
        treated, held = Outcomes(), Outcomes()
        for one, other in self.weeks.values():
            treated, held = treated + one, held + other
        return treated, held


class Draw(NamedTuple):
    """An arm and the share it had then.  `is_kept`: with the customer, whether anything was decided in it or not."""

    arm: str
    share: float | None
    is_kept: bool


@dataclass(slots=True)
class Arms:
    """Those of an experiment who were not held out: how many drew each arm, with which share, and what they did."""

    drawn: Counter[str] = field(default_factory=Counter[str])
    draws: Counter[Draw] = field(default_factory=Counter[Draw])
    outcomes: defaultdict[str, Outcomes] = field(default_factory=lambda: defaultdict(Outcomes))

    @property
    def control(self) -> str:
        """The arm the others are compared with: one named as such, else the first by name."""
        return min(self.drawn, key=lambda arm: (arm not in CONTROLS, arm))


@dataclass(slots=True)
class Day:
    """`revenue` in the shop's currency, by the day of the order."""

    sent: int = 0
    orders: int = 0
    revenue: int = 0


@dataclass(slots=True)
class Ledger:
    """Everything that was added up, over all customers."""

    counts: defaultdict[Place, Counts] = field(default_factory=lambda: defaultdict(Counts))
    trials: defaultdict[Place, Trial] = field(default_factory=lambda: defaultdict(Trial))
    arms: defaultdict[Place, Arms] = field(default_factory=lambda: defaultdict(Arms))
    days: defaultdict[tuple[str, int], Day] = field(default_factory=lambda: defaultdict(Day))
    customers: int = 0
    foreign_orders: int = 0  # in another currency: they convert, their revenue is in no lift
    cut: int = 0  # customers with more rows than are looked at
