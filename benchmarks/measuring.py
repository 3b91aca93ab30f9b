"""`make bench-measuring`: a thousand shops try nothing new, and a thousand try something that works.  Each looks daily.

A statistic that may be looked at every day must say "it works" in at most 5 % of the first, and its intervals must all
hold the truth in at least 95 % of the second.  Ends with one line `RESULT {json}`; exit 1 where either is broken.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table

from operators.measuring.cuped import adjusted
from operators.measuring.lift import ALPHA, Interval, conversion_lift, revenue_lift
from operators.measuring.outcomes import Outcomes
from operators.measuring.ratio import sample_ratio

TYPICAL_ORDER = 8000  # minor units
SAMPLE_RATIO, NAIVE = "sample ratio", "for comparison: z-test"
STATISTICS = ("conversion", "revenue", "revenue, CUPED", SAMPLE_RATIO, NAIVE)


@dataclass(frozen=True)
class Shop:
    """`tail`: sigma of log-normal orders; `loyal`: share of those who bought before, three times as likely to buy."""

    name: str
    treated: float
    rate: float
    tail: float
    lift: float = 0.0
    a_day: int = 1000
    days: int = 60
    loyal: float = 0.2

    def day(self, chance: np.random.Generator) -> tuple[Outcomes, Outcomes]:
        customers = int(chance.poisson(self.a_day))
        treated = int(chance.binomial(customers, self.treated))
        return self._arm(chance, treated, 1 + self.lift), self._arm(chance, customers - treated, 1.0)

    def truth(self) -> float:
        """The difference in revenue per customer."""
        return self.lift * self.rate * TYPICAL_ORDER * math.exp(self.tail**2 / 2)

    def _arm(self, chance: np.random.Generator, customers: int, ratio: float) -> Outcomes:
        is_loyal = chance.random(customers) < self.loyal
        base = self.rate / (1 + 2 * self.loyal)
        buys = chance.random(customers) < np.where(is_loyal, 3 * base, base) * ratio
        taste = chance.normal(0, self.tail * math.sqrt(0.8), customers)  # a customer's own, before and after
        before = np.where(is_loyal, _orders(chance, taste, self.tail), 0)
        spent = np.where(buys, _orders(chance, taste, self.tail), 0)
        sums = (spent, spent * spent, before, before * before, spent * before)
        return Outcomes(customers, int(buys.sum()), *(int(each.sum()) for each in sums))


SHOPS = (
    Shop("even arms", treated=0.5, rate=0.03, tail=0.7),
    Shop("holdout of 10 %", treated=0.9, rate=0.03, tail=0.7),
    Shop("holdout of 5 %, heavy tail", treated=0.95, rate=0.03, tail=1.5),
    Shop("rare orders", treated=0.9, rate=0.005, tail=1.0),
    Shop("small shop", treated=0.8, rate=0.05, tail=0.7, a_day=60),
)


def _orders(chance: np.random.Generator, taste: npt.NDArray[np.float64], tail: float) -> npt.NDArray[np.int64]:
    noise = chance.normal(0, tail * math.sqrt(0.2), len(taste))
    orders: npt.NDArray[np.int64] = np.rint(TYPICAL_ORDER * np.exp(taste + noise)).astype(np.int64)
    return orders


@dataclass
class Seen:
    """Of one statistic: in how many experiments it ever told an effect, and in how many it was ever wrong."""

    told: int = 0
    wrong: int = 0


def tell(treated: Outcomes, control: Outcomes, shop: Shop) -> Iterator[tuple[bool, bool]]:
    """What each statistic says on one day: (it tells an effect, it excludes the truth)."""
    lift = conversion_lift(treated, control)
    yield lift.excludes_zero, not lift.low <= shop.lift <= lift.high
    for arms in ((treated.revenue(), control.revenue()), adjusted(treated, control)):
        lift = revenue_lift(*arms)
        yield lift.excludes_zero, not lift.low <= shop.truth() <= lift.high
    counts = (treated.customers, control.customers)
    yield sample_ratio(counts, (shop.treated, 1 - shop.treated)).p_value <= ALPHA, False
    naive = _z_test(treated, control)
    yield naive.excludes_zero, not naive.low <= shop.lift * shop.rate <= naive.high


def run(shop: Shop, experiments: int, seed: int) -> list[Seen]:
    seen = [Seen() for _ in STATISTICS]
    says = f"{shop.name}, lift {shop.lift:.0%}"
    for number in track(range(experiments), says, transient=True, disable=not sys.stdout.isatty()):
        chance = np.random.default_rng([seed, number])
        told, wrong = [False] * len(seen), [False] * len(seen)
        days = (shop.day(chance) for _ in range(shop.days))
        for treated, control in accumulate(days, lambda sums, day: (sums[0] + day[0], sums[1] + day[1])):
            for at, (tells, errs) in enumerate(tell(treated, control, shop)):
                told[at] |= tells
                wrong[at] |= errs
        for at, each in enumerate(seen):
            each.told += told[at]
            each.wrong += wrong[at]
    return seen


def _z_test(treated: Outcomes, control: Outcomes) -> Interval:
    """What one may look at once only."""
    n, m = max(1, treated.customers), max(1, control.customers)
    deviation = math.sqrt(treated.rate * (1 - treated.rate) / n + control.rate * (1 - control.rate) / m)
    difference = treated.rate - control.rate
    return Interval(difference, difference - 1.96 * deviation, difference + 1.96 * deviation)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measuring", description=__doc__)
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--lift", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    table = Table("shop", "statistic", title=f"{asked.experiments} experiments of each kind, looked at daily")
    for head in ("A/A: false alarms", f"A/B of {asked.lift:.0%}: always covered", "found"):
        table.add_column(head, justify="right")
    result: dict[str, float] = {"experiments": asked.experiments}
    worst_alarms, worst_covered = 0.0, 1.0
    for shop in SHOPS:
        same = run(shop, asked.experiments, asked.seed)
        better = run(replace(shop, lift=asked.lift), asked.experiments, asked.seed)
        for name, null, effect in zip(STATISTICS, same, better, strict=True):
            alarms = null.told / asked.experiments
            covered, found = 1 - effect.wrong / asked.experiments, effect.told / asked.experiments
            of_effect = ("", "") if name == SAMPLE_RATIO else (f"{covered:.1%}", f"{found:.1%}")
            table.add_row(shop.name, name, f"{alarms:.1%}", *of_effect)
            if name != NAIVE:
                worst_alarms, worst_covered = max(worst_alarms, alarms), min(worst_covered, covered)
        table.add_section()
    result |= {"false_alarms_worst": worst_alarms, "covered_worst": worst_covered}
    Console(width=110).print(table)
    print(f"RESULT {json.dumps(result)}")
    return 0 if worst_alarms <= ALPHA and worst_covered >= 1 - ALPHA else 1


if __name__ == "__main__":
    raise SystemExit(main())
