"""What is foretold, as conditions of flows, `when(likely_to_buy(at_least=0.3), …)`, and as a moment to write at.

Conditions hold for nobody where no model is published yet, or where she has no habits: a flow says by its `otherwise`
what happens then.  They want `habits` among the `WINDOWS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from operators.faults import FlowError
from operators.propensity.forecasts import Forecasts
from operators.propensity.habits import DAY_MS, HOUR_MS
from operators.propensity.window import habits
from operators.steps import Foretold, ForetoldMoment
from state.customer import Customer

Name = Literal["likely_to_buy", "likely_to_stay_away"]


@dataclass(frozen=True)
class Likely(Foretold):
    what: Name
    at_least: float

    def __post_init__(self) -> None:
        if not 0 < self.at_least < 1:
            raise FlowError(f"{self.what}(at_least={self.at_least:g}): a chance lies between 0 and 1, such as 0.3.")

    @property
    def __name__(self) -> str:
        return f"{self.what}(at_least={self.at_least:g})"

    def holds(self, customer: Customer, now: int, forecasts: Forecasts | None) -> bool:
        hers = habits.of(customer)
        if forecasts is None or not hers.visits:
            return False
        buys = self.what == "likely_to_buy"
        if not (forecasts.buys if buys else forecasts.stays_away).outcomes:
            return False
        chance = forecasts.chance_to_buy if buys else forecasts.chance_to_stay_away
        return chance(hers, max(now, hers.last_at)) >= self.at_least


@dataclass(frozen=True)
class Spends(Foretold):
    at_least: int

    def __post_init__(self) -> None:
        if self.at_least <= 0:
            raise FlowError(f"likely_to_spend(at_least={self.at_least}): name minor units, such as 20_000 for 200.00.")

    @property
    def __name__(self) -> str:
        return f"likely_to_spend(at_least={self.at_least})"

    def holds(self, customer: Customer, now: int, forecasts: Forecasts | None) -> bool:
        hers = habits.of(customer)
        if forecasts is None or not hers.visits:
            return False
        return forecasts.expected_order(hers, max(now, hers.last_at)) >= self.at_least


@dataclass(frozen=True)
class HerHour(ForetoldMoment):
    __name__ = "her_hour"

    def after(self, customer: Customer, now: int, forecasts: Forecasts | None, share: float) -> int:
        if forecasts is None:
            return now
        begins = now - now % DAY_MS + forecasts.best_hour(habits.of(customer)) * HOUR_MS
        if begins <= now < begins + HOUR_MS:
            return now
        return begins + int(share * HOUR_MS) + (DAY_MS if begins < now else 0)


def her_hour() -> HerHour:
    """The hour in which she comes most, as far as she is known, else the shop's; somewhere within it.

    Of an hour that has begun, now; now, too, while no model is published.
    """
    return HerHour()


def likely_to_spend(*, at_least: int) -> Spends:
    """Her next order is worth so much or more, in minor units of the shop's currency.  Raises `FlowError`."""
    return Spends(at_least)


def likely_to_buy(*, at_least: float) -> Likely:
    """She orders within 7 days of the moment it is asked, with this chance or a better one.  Raises `FlowError`."""
    return Likely("likely_to_buy", at_least)


def likely_to_stay_away(*, at_least: float) -> Likely:
    """She does not come within 60 days, with this chance or a higher one.  Raises `FlowError`."""
    return Likely("likely_to_stay_away", at_least)
