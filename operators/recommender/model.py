"""Decayed sequential co-visitation: candidates for the next product from what others did after the same ones.

After Kersbergen et al., *Serenade* (SIGMOD 2022) in what it looks at (the last few products, the newest most) and
unlike it in keeping no sessions: each product has a bounded row of what follows and what comes before it, so that
every event teaches at once and costs the same however many went before.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from operators.recommender.mixture import Key, Trust, level
from operators.recommender.popularity import Popularity
from operators.recommender.rows import Row, Weights
from operators.recommender.store import InMemory, Rows
from operators.recommender.visits import Visit

HALF_LIFE_MS = 30 * 86_400_000.0
NEARER = 0.6  # what a product counts relative to the one seen right after it
DOUBT = 1.0  # evidence that every row is short of
LONG = 4  # visits of so many products and more are alike
_BEGIN = {"after": 0.5, "before": 0.2, "again": 0.3, "popular": 0.05}


class CoVisitation:
    """Learns from visits, ranks what may come next in one."""

    def __init__(self, rows: Rows | None = None, half_life_ms: float = HALF_LIFE_MS) -> None:
        self.rows: Rows = InMemory() if rows is None else rows
        self.trust = Trust(_BEGIN)
        self.popularity = Popularity(half_life_ms)
        self._half_life_ms = half_life_ms

    def learn(self, visit: Visit, product: str, at: int, weight: float = 1.0) -> None:
        """The visitor, who had done `visit`, now came to this product.  Leaves the visit as it is."""
        if visit.products:
            self._judge(visit, product)
            self._connect(visit, product, at, weight)
        self.popularity.add(product, weight, at)

    def recommend(self, visit: Visit, limit: int = 20) -> list[tuple[str, float]]:
        """The likeliest next products with their scores, best first."""
        scores: dict[str, float] = {}
        for key, product, weights in self._guesses(visit):
            trust = self.trust.of(key)
            if weights is None:
                scores[product] = scores.get(product, 0.0) + trust
                continue
            share = trust / (weights.total + DOUBT)
            for each, weight in weights.of.items():
                scores[each] = scores.get(each, 0.0) + share * weight
        popular = self.trust.of(_popular(visit))
        for each in self.popularity.leaders():
            scores[each] = scores.get(each, 0.0) + popular * self.popularity.of(each)
        return heapq.nlargest(limit, scores.items(), key=lambda scored: scored[1])

    def score(self, visit: Visit, product: str) -> float:
        """What `recommend` would give this one product."""
        return sum(self.trust.of(key) * probability for key, probability in self._probabilities(visit, product))

    def _judge(self, visit: Visit, product: str) -> None:
        self.trust.learn(list(self._probabilities(visit, product)))

    def _probabilities(self, visit: Visit, product: str) -> Iterator[tuple[Key, float]]:
        for key, seen, weights in self._guesses(visit):
            if weights is None:
                yield key, float(seen == product)
            else:
                yield key, weights.of.get(product, 0.0) / (weights.total + DOUBT)
        yield _popular(visit), self.popularity.of(product)

    def _guesses(self, visit: Visit) -> Iterator[tuple[Key, str, Weights | None]]:
        """Where the next product may come from; no weights: this very product again."""
        length = min(len(visit.products), LONG)
        for back, product in enumerate(reversed(visit.products)):
            yield ("again", back, length, 0), product, None
            row = self.rows.get(product)
            if row is None:
                continue
            if row.after.of:
                yield ("after", back, length, level(row.after.total)), product, row.after
            if row.before.of:
                yield ("before", back, length, level(row.before.total)), product, row.before

    def _connect(self, visit: Visit, product: str, at: int, weight: float) -> None:
        here = self._row(product, at)
        gain_here = weight * here.gain(at, self._half_life_ms)
        near = 1.0
        for seen in reversed(visit.products):
            if seen != product:
                there = self._row(seen, at)
                there.after.add(product, near * weight * there.gain(at, self._half_life_ms))
                here.before.add(seen, near * gain_here)
                self.rows.put(seen, there)
            near *= NEARER
        self.rows.put(product, here)

    def _row(self, product: str, at: int) -> Row:
        return self.rows.get(product) or Row(at)


def _popular(visit: Visit) -> Key:
    return ("popular", 0, min(len(visit.products), LONG), 0)
