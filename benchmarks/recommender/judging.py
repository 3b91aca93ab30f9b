"""Hits among the first twenty, where in them, and what it cost.

Cost is the CPU time of the calling thread: on a busy machine the wall clock would measure the others.  To ask for it
takes most of a microsecond, so what a call costs that does nothing is taken off.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import log2
from statistics import median

CUT = 20


COLD_EVENTS = 5
"""A product is cold until it was learnt from so often."""


def _seconds_of_nothing() -> float:
    """What `Tally` measures of a call that does nothing: the median of many."""
    found = []
    for _ in range(2_001):
        began = time.thread_time()
        _nothing()
        found.append(time.thread_time() - began)
    return median(found)


def _nothing() -> None: ...


@dataclass
class Hits:
    asked: int = 0
    hits: int = 0
    reciprocal: float = 0.0
    gain: float = 0.0  # discounted; of one right product the ideal is 1, so it is normalised as it is

    def add(self, place: int | None) -> None:
        """Where in what was shown it stood; None where it did not."""
        self.asked += 1
        if place is not None:
            self.hits += 1
            self.reciprocal += 1.0 / (1 + place)
            self.gain += 1.0 / log2(2 + place)

    def result(self, kind: str = "") -> dict[str, float]:
        asked = self.asked or 1
        means = {"hr20": self.hits, "mrr20": self.reciprocal, "ndcg20": self.gain}
        return {f"{kind}{name}": round(value / asked, 4) for name, value in means.items()}


@dataclass
class Tally:
    """What one model did; `new` counts only products not yet in the session, `cold` those hardly learnt from yet.

    `coverage20`: the share of all products that were shown to anybody.  `novelty20`: how little known what was shown
    was, in bits: the mean of -log2 of its share of all clicks so far.
    """

    all: Hits = field(default_factory=Hits)
    cold: Hits = field(default_factory=Hits)
    warm: Hits = field(default_factory=Hits)
    counts: Counter[str] = field(default_factory=Counter[str])
    covered: set[str] = field(default_factory=set[str])
    bits: float = 0.0
    shown: int = 0
    new_asked: int = 0
    new_hits: int = 0
    learnt: int = 0
    learn_seconds: float = 0.0
    recommend_seconds: list[float] = field(default_factory=list)
    nothing: float = field(default_factory=_seconds_of_nothing)

    def judge(self, shown: Sequence[str], came: str, new: bool) -> None:
        place = shown.index(came) if came in shown else None
        self.all.add(place)
        (self.cold if self.counts[came] < COLD_EVENTS else self.warm).add(place)
        self.new_asked += new
        self.new_hits += new and place is not None
        self.covered.update(shown)
        self.shown += len(shown)
        self.bits += sum(log2(self.learnt / self.counts[each]) for each in shown if self.counts[each])

    def time_learning(self, item: str, learn: Callable[[], None]) -> None:
        began = time.thread_time()
        learn()
        self.learn_seconds += time.thread_time() - began - self.nothing
        self.learnt += 1
        self.counts[item] += 1

    def time_recommending(self, recommend: Callable[[], Sequence[str]]) -> Sequence[str]:
        began = time.thread_time()
        shown = recommend()
        self.recommend_seconds.append(time.thread_time() - began - self.nothing)
        return shown

    def result(self) -> dict[str, float]:
        new = self.new_asked or 1
        sorted_seconds = sorted(self.recommend_seconds) or [0.0]
        return {
            **self.all.result(),
            "new_hr20": round(self.new_hits / new, 4),
            "learn_us": round(1e6 * max(0.0, self.learn_seconds) / (self.learnt or 1), 1),
            "recommend_p99_us": round(1e6 * max(0.0, sorted_seconds[int(len(sorted_seconds) * 0.99)]), 1),
            **self.cold.result("cold_"),
            **self.warm.result("warm_"),
            "coverage20": round(len(self.covered) / (len(self.counts) or 1), 4),
            "novelty20": round(self.bits / (self.shown or 1), 2),
        }
