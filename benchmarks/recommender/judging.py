"""Hits among the first twenty, where in them, and what it cost.

Cost is the CPU time of the calling thread: on a busy machine the wall clock would measure the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

CUT = 20


@dataclass
class Tally:
    """What one model did; `new` counts only products not yet in the session."""

    asked: int = 0
    hits: int = 0
    reciprocal: float = 0.0
    new_asked: int = 0
    new_hits: int = 0
    learnt: int = 0
    learn_seconds: float = 0.0
    recommend_seconds: list[float] = field(default_factory=list)

    def judge(self, shown: Sequence[str], came: str, new: bool) -> None:
        self.asked += 1
        self.new_asked += new
        if came in shown:
            self.hits += 1
            self.new_hits += new
            self.reciprocal += 1.0 / (1 + shown.index(came))

    def time_learning(self, learn: Callable[[], None]) -> None:
        began = time.thread_time()
        learn()
        self.learn_seconds += time.thread_time() - began
        self.learnt += 1

    def time_recommending(self, recommend: Callable[[], Sequence[str]]) -> Sequence[str]:
        began = time.thread_time()
        shown = recommend()
        self.recommend_seconds.append(time.thread_time() - began)
        return shown

    def result(self) -> dict[str, float]:
        asked, new = self.asked or 1, self.new_asked or 1
        sorted_seconds = sorted(self.recommend_seconds) or [0.0]
        return {
            "hr20": round(self.hits / asked, 4),
            "mrr20": round(self.reciprocal / asked, 4),
            "new_hr20": round(self.new_hits / new, 4),
            "learn_us": round(1e6 * self.learn_seconds / (self.learnt or 1), 1),
            "recommend_p99_us": round(1e6 * sorted_seconds[int(len(sorted_seconds) * 0.99)], 1),
        }
