"""What sells now: decayed counts, for who is not known yet."""

from __future__ import annotations

import heapq

_FRESH = 500  # events after which the leaders are looked up anew
_DOUBLINGS_MAX = 40.0


class Popularity:
    """Decayed counts of all products, and the leaders."""

    def __init__(self, half_life_ms: float, leaders: int = 50) -> None:
        self.total = 0.0
        self._half_life_ms = half_life_ms
        self._leaders = leaders
        self._counts: dict[str, float] = {}
        self._since: int | None = None
        self._top: list[str] = []
        self._age = _FRESH

    def add(self, product: str, weight: float, at: int) -> None:
        if self._since is None:
            self._since = at
        doublings = (at - self._since) / self._half_life_ms
        if doublings > _DOUBLINGS_MAX:
            factor = 2.0**-doublings
            self._counts = {each: count * factor for each, count in self._counts.items() if count * factor > 1e-6}
            self.total *= factor
            self._since, doublings = at, 0.0
        gain = weight * 2.0**doublings
        self._counts[product] = self._counts.get(product, 0.0) + gain
        self.total += gain
        self._age += 1

    def of(self, product: str) -> float:
        """Its share of all."""
        return self._counts.get(product, 0.0) / self.total if self.total else 0.0

    def leaders(self) -> list[str]:
        if self._age > _FRESH or len(self._top) < self._leaders:
            self._top = heapq.nlargest(self._leaders, self._counts, key=self._counts.__getitem__)
            self._age = 0
        return self._top

    def summary(self, most: int) -> tuple[int | None, float, dict[str, float]]:
        """What `restored` takes: since when counts are measured, their sum, and the largest of them."""
        if len(self._counts) <= most:
            return self._since, self.total, dict(self._counts)
        largest = heapq.nlargest(most, self._counts, key=self._counts.__getitem__)
        return self._since, self.total, {product: self._counts[product] for product in largest}

    def restore(self, since: int | None, total: float, counts: dict[str, float]) -> None:
        self._since, self.total, self._counts = since, total, counts
        self._top, self._age = [], _FRESH
