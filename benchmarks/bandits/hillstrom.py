"""Hillstrom's e-mail experiment, replayed: 64,000 customers got one of two mails or none by equal chances.

A policy is asked about each customer in turn; where it would have done what was done, its answer is known and it may
learn from it, else the customer is passed over (L. Li, W. Chu, J. Langford and X. Wang, Unbiased offline evaluation of
contextual-bandit-based news article recommendation algorithms, WSDM 2011).
"""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

from operators.bandits.contexts import Learner, Try, every_context
from operators.bandits.learning import Learning, Rails, epsilon_greedy, thompson

CONDITIONS = ("mens", "womens", "newbie")
HOUR_MS = 3_600_000
LATER_MS = 14 * 24 * HOUR_MS
EPOCH = 500
"""Customers that come within an hour, at whose end shares are published anew."""


class Customer(NamedTuple):
    context: str
    arm: str
    visited: bool


Table = Mapping[str, Mapping[str, float]]
Policy = Callable[[Sequence[Try], int], Table]
"""Of the tries so far, and the time, the shares by context and arm."""


@dataclass(frozen=True)
class Replayed:
    """`rewards` of `tries`; `expected`: what the arms it chose earn on average, each time it chose one."""

    tries: int
    rewards: int
    expected: float

    def regret(self, best: float) -> float:
        """Rewards fewer than with the best arm all the time."""
        return self.tries * best - self.expected


def read(path: Path) -> list[Customer]:
    with gzip.open(path, "rt", newline="") as opened:
        return [
            Customer(
                " ".join(name for name in sorted(CONDITIONS) if row[name] == "1"), row["segment"], row["visit"] == "1"
            )
            for row in csv.DictReader(opened)
        ]


def means(customers: Sequence[Customer]) -> dict[str, float]:
    counts = Counter(customer.arm for customer in customers)
    visits = Counter(customer.arm for customer in customers if customer.visited)
    return {arm: visits[arm] / counts[arm] for arm in sorted(counts)}


def replay(customers: Sequence[Customer], policy: Policy, seed: int, horizon: int) -> Replayed:
    """Go through the customers in an order by chance until the policy has made so many choices."""
    chance = Random(seed)
    order = list(customers)
    chance.shuffle(order)
    true = means(customers)
    tries: list[Try] = []
    rewards, expected = 0, 0.0
    table: Table = {}
    for number, customer in enumerate(order):
        now = number // EPOCH * HOUR_MS
        if number % EPOCH == 0:
            table = policy(tries, now)
        if drawn(table[customer.context], chance.random()) != customer.arm:
            continue
        tries.append(Try(customer.arm, customer.context, now, customer.visited))
        rewards += customer.visited
        expected += true[customer.arm]
        if len(tries) == horizon:
            break
    return Replayed(len(tries), rewards, expected)


def drawn(shares: Mapping[str, float], share: float) -> str:
    reached = 0.0
    for arm, width in shares.items():
        reached += width
        if share < reached:
            return arm
    return max(shares, key=lambda arm: shares[arm])


def always(arms: Mapping[str, float]) -> Policy:
    contexts = every_context(CONDITIONS)
    return lambda _, __: dict.fromkeys(contexts, arms)


def learning(how: Learning, arms: Sequence[str], conditions: Sequence[str] = ()) -> Policy:
    """The bandit of a flow, which sees what came in earlier hours and had two weeks to come, as in the experiment."""
    contexts = every_context(CONDITIONS)

    def table(tries: Sequence[Try], now: int) -> Table:
        learner = Learner(arms, conditions, how, now + LATER_MS)
        for one in tries:
            learner.learn(one if conditions else one._replace(context=""))
        told = {context: each.by_arm for context, each in learner.table().items()}
        return told if conditions else dict.fromkeys(contexts, told[""])

    return table


def policies(customers: Sequence[Customer]) -> Iterator[tuple[str, Policy]]:
    true = means(customers)
    arms, best = list(true), max(true, key=lambda arm: true[arm])
    yield "uniform", always(dict.fromkeys(arms, 1 / len(arms)))
    yield "epsilon-greedy", learning(epsilon_greedy(0.1, half_forgotten=timedelta(days=365)), arms)
    yield "Thompson", learning(thompson(half_forgotten=timedelta(days=365)), arms)
    settles = Rails(regret_max=20)
    yield "Thompson, regret at most 20", learning(thompson(half_forgotten=timedelta(days=365), rails=settles), arms)
    yield "Thompson in context", learning(thompson(half_forgotten=timedelta(days=365)), arms, CONDITIONS)
    yield "best arm", always({arm: float(arm == best) for arm in arms})
