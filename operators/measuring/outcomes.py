"""What the customers of one arm did: exact sums that can be added up in any order."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import NamedTuple


class Mean(NamedTuple):
    """What a comparison of means needs to know of one arm."""

    customers: int
    buyers: int
    mean: float
    variance: float


@dataclass(slots=True)
class Outcomes:
    """Sums over customers, money in minor units; `before` is what they spent before they were assigned.

    Whole numbers, so that neither order nor grouping changes a report.
    """

    customers: int = 0
    buyers: int = 0
    spent: int = 0
    spent_squares: int = 0
    before: int = 0
    before_squares: int = 0
    products: int = 0  # of spent and before

    def add(self, converted: bool, spent: int = 0, before: int = 0) -> None:
        """One more customer."""
        self.customers += 1
        self.buyers += converted
        self.spent += spent
        self.spent_squares += spent * spent
        self.before += before
        self.before_squares += before * before
        self.products += spent * before

    def __add__(self, other: Outcomes) -> Outcomes:
        return Outcomes(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    @property
    def rate(self) -> float:
        return self.buyers / self.customers if self.customers else 0.0

    def revenue(self) -> Mean:
        """Mean and variance of what a customer spent."""
        n = self.customers
        if not n:
            return Mean(0, 0, 0.0, 0.0)
        return Mean(n, self.buyers, self.spent / n, centred(n, self.spent, self.spent, self.spent_squares) / n)


def centred(n: int, x: int, y: int, xy: int) -> float:
    """Σ(x − x̄)(y − ȳ) out of the sums; exact up to the last division."""
    return (n * xy - x * y) / n
