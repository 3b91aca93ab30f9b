"""How an arm is to be chosen: the part of a flow that says what counts as success, and how far one may go for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Literal

from operators.faults import FlowError

Reward = Literal["click", "order"]
State = Literal["learning", "settled"]
CONDITIONS_MAX = 6
"""Of one choice: 64 rows of shares."""
EPSILON = 0.1


@dataclass(frozen=True)
class Rails:
    """What learning may cost.

    `floor`: the least share of each arm that is not stopped.  `regret_max`: so many expected rewards may be given away
    to explore, then the best arm gets all.  `stop_below`: an arm less likely than this to be the best is stopped, once
    it was tried `tries_min` times.
    """

    floor: float = 0.02
    regret_max: float | None = None
    stop_below: float = 0.0
    tries_min: int = 200

    def __post_init__(self) -> None:
        if not 0 <= self.floor <= 0.5:
            raise FlowError(
                f"Rails.floor is {self.floor:g}; it is a share, from 0 to 0.5. Something like 0.02 will do."
            )
        if not 0 <= self.stop_below < 1:
            raise FlowError(
                f"Rails.stop_below is {self.stop_below:g}; it is a probability. Something like 0.01 will do."
            )
        if self.regret_max is not None and self.regret_max <= 0:
            raise FlowError(f"Rails.regret_max is {self.regret_max:g}; so nothing could be learned. Leave it out.")


@dataclass(frozen=True)
class Learning:
    """`reward`: a click by a person on one of the arm's messages, or an order, within `within` of the first of them.

    Answers come late: after `half_answered` half of those that will come have come, and a message without one counts
    as a failure to that degree only.  What was seen `half_forgotten` ago counts half.
    """

    kind: Literal["thompson", "epsilon_greedy"] = "thompson"
    reward: Reward = "click"
    within: timedelta = timedelta(days=3)
    half_answered: timedelta = timedelta(hours=6)
    half_forgotten: timedelta = timedelta(days=30)
    epsilon: float = EPSILON
    rails: Rails = field(default_factory=Rails)

    def __post_init__(self) -> None:
        for name in ("within", "half_answered", "half_forgotten"):
            if getattr(self, name) <= timedelta(0):
                raise FlowError(f"{name} is {getattr(self, name)}, which is no time at all. Give it some.")
        if not 0 < self.epsilon <= 1:
            raise FlowError(f"epsilon is {self.epsilon:g}; it is the share that explores. Something like 0.1 will do.")

    @cached_property
    def within_ms(self) -> int:
        return round(self.within.total_seconds() * 1000)

    def answered(self, age: int) -> float:
        """Of the answers to a message this old (ms), the share that has come."""
        if age >= self.within_ms:
            return 1.0
        return _fallen(age, self.half_answered) / _fallen(self.within_ms, self.half_answered)

    def remembered(self, age: int) -> float:
        """How much what is this old (ms) still counts."""
        return 1.0 - _fallen(age, self.half_forgotten)


def thompson(
    reward: Reward = "click",
    *,
    within: timedelta = timedelta(days=3),
    half_answered: timedelta = timedelta(hours=6),
    half_forgotten: timedelta = timedelta(days=30),
    rails: Rails = Rails(),
) -> Learning:
    """Each arm's share is the probability that it is the best."""
    return Learning("thompson", reward, within, half_answered, half_forgotten, rails=rails)


def epsilon_greedy(
    epsilon: float = EPSILON,
    reward: Reward = "click",
    *,
    within: timedelta = timedelta(days=3),
    half_answered: timedelta = timedelta(hours=6),
    half_forgotten: timedelta = timedelta(days=30),
    rails: Rails = Rails(),
) -> Learning:
    """The arm that did best so far gets all but `epsilon`, which all share."""
    return Learning("epsilon_greedy", reward, within, half_answered, half_forgotten, epsilon, rails)


def _fallen(age: int, half: timedelta) -> float:
    return 1.0 - math.pow(0.5, max(0, age) / (half.total_seconds() * 1000))
