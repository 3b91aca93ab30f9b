"""What is known of an arm at a moment: what was long ago counts less, what was just now not yet fully."""

from __future__ import annotations

from dataclasses import dataclass

from operators.bandits.learning import Learning


@dataclass(slots=True)
class Evidence:
    """`rewards` of `tries`, both weighted; `asked`: how often the arm was tried, whatever it counts now."""

    tries: float = 0.0
    rewards: float = 0.0
    asked: int = 0

    def add(self, learning: Learning, now: int, at: int, rewarded: bool) -> None:
        """One try at a moment (ms).  Of many, only the share counts whose answers would be here if they came at all.

        So the rate of rewards is right from the beginning (C. Vernade, O. Cappé and V. Perchet, Stochastic bandit
        models for delayed conversions, UAI 2017).
        """
        weight = learning.remembered(now - at)
        self.asked += 1
        self.tries += weight * learning.answered(now - at)
        self.rewards += weight * rewarded

    def __add__(self, other: Evidence) -> Evidence:
        return Evidence(self.tries + other.tries, self.rewards + other.rewards, self.asked + other.asked)

    @property
    def failures(self) -> float:
        return max(0.0, self.tries - self.rewards)

    @property
    def mean(self) -> float:
        """The reward to be expected of a try, with one success and one failure assumed beforehand."""
        return (self.rewards + 1) / (self.rewards + self.failures + 2)
