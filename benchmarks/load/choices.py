"""Which customer does something: drawn from any number of them without keeping a list of them."""

from __future__ import annotations

import random
from dataclasses import dataclass

HOT = -1
"""The number of the one that is busier than all others."""


@dataclass(frozen=True)
class Everyone:
    """All alike."""

    def pick(self, chance: random.Random, customers: int) -> int:
        return chance.randrange(customers)


@dataclass(frozen=True)
class LongTail:
    """Few do much and most do little: the customer of rank r as often as r to the power of -`exponent` (Zipf).

    Drawn by turning round the distribution function of the continuous form (a bounded Pareto).
    """

    exponent: float = 1.1

    def pick(self, chance: random.Random, customers: int) -> int:
        power = 1 - self.exponent
        rank = ((customers + 1) ** power - 1) * chance.random() + 1
        return min(int(rank ** (1 / power)), customers) - 1


@dataclass(frozen=True)
class HotKey:
    """One customer, a bot most likely, does this share of all; the others alike."""

    share: float = 0.5

    def pick(self, chance: random.Random, customers: int) -> int:
        return HOT if chance.random() < self.share else chance.randrange(customers)


Choice = Everyone | LongTail | HotKey
