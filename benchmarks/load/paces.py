"""How the rate of a load goes over a run: by how much it is multiplied at each moment.

Time counts in seconds from where the measurement begins; before that, while all warms up, the rate is the plain one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

# Events by the hour of a shop's day, against the day's mean: little at night, a hill at noon, the peak at nine.
DAY: tuple[float, ...] = (0.5, 0.3, 0.2, 0.15, 0.15, 0.25, 0.5, 0.8, 1.0, 1.15, 1.25, 1.3)
DAY += (1.35, 1.3, 1.2, 1.15, 1.15, 1.2, 1.35, 1.6, 1.9, 2.0, 1.5, 0.75)


@dataclass(frozen=True)
class Steady:
    """The same all the time."""

    def factor(self, at: float, seconds: float) -> float:
        return 1.0


@dataclass(frozen=True)
class DailyCurve:
    """A whole day, pressed into the run."""

    def factor(self, at: float, seconds: float) -> float:
        if not 0 <= at < seconds:
            return DAY[0] if at >= seconds else 1.0
        hour = 24 * at / seconds
        before, after = DAY[int(hour)], DAY[(int(hour) + 1) % 24]
        return before + (after - before) * (hour % 1)


@dataclass(frozen=True)
class Spike:
    """A sale begins: so many times the rate, from one share of the run to another."""

    times: float = 20.0
    begins: float = 0.25
    ends: float = 0.5

    def factor(self, at: float, seconds: float) -> float:
        return self.times if self.begins * seconds <= at < self.ends * seconds else 1.0


Pace = Steady | DailyCurve | Spike


def arrivals(
    pace: Pace, rate: float, warm_seconds: float, seconds: float, chance: random.Random | None = None
) -> Iterator[float]:
    """When events are due, in order; evenly, or with a `chance` as a Poisson process, which has bursts of its own."""
    at = -warm_seconds
    while at < seconds:
        yield at
        step = 1 / (rate * pace.factor(at, seconds))
        at += step if chance is None else chance.expovariate(1 / step)


def mean_factor(pace: Pace, seconds: float, steps: int = 960) -> float:
    """How many times the plain rate a run comes to."""
    edges = [seconds * n / steps for n in range(steps + 1)]
    return sum(pace.factor((a + b) / 2, seconds) for a, b in pairwise(edges)) / steps
