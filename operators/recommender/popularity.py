"""What sells now: decayed counts, bounded; for who is not known yet, and as one guess among others."""

from __future__ import annotations

import msgspec

from operators.recommender.rows import cut

WIDTH = 500  # products counted; beyond it those with the least are forgotten
LEADERS = 50
_GROWN = WIDTH * 2
_FRESH = 200  # events after which the leaders are looked up anew, once there were as many
_DOUBLINGS_MAX = 40.0


class Popularity(msgspec.Struct, array_like=True):
    """Decayed counts since `since`, and their sum, forgotten ones included.  A plain value."""

    half_life_ms: int
    since: int = 0
    total: float = 0.0
    counts: dict[str, float] = {}
    top: dict[str, float] = {}
    age: int = 0
    fresh: int = 1  # events after which the leaders are looked up anew

    def add(self, product: str, at: int) -> None:
        doublings = (at - self.since) / self.half_life_ms
        if doublings > _DOUBLINGS_MAX:
            self._begin_at(at, 2.0 ** max(-1000.0, -doublings))
            doublings = 0.0
        elif doublings < -_DOUBLINGS_MAX:
            return  # so late that it counts nothing
        gain = 2.0**doublings
        counts = self.counts
        counts[product] = counts.get(product, 0.0) + gain
        self.total += gain
        self.age += 1
        if len(counts) > _GROWN:
            self.counts = cut(counts, WIDTH)
        if self.age >= self.fresh:
            self.top, self.age, self.fresh = {}, 0, min(2 * self.fresh, _FRESH)

    def leaders(self) -> dict[str, float]:
        """The most popular products with their shares, as they were some events ago."""
        if not self.top and self.total:
            self.top = {each: count / self.total for each, count in cut(self.counts, LEADERS).items()}
        return self.top

    def shares(self) -> dict[str, float]:
        """All that are counted."""
        return {each: count / self.total for each, count in self.counts.items()} if self.total else {}

    def of(self, product: str) -> float:
        """Its share of all."""
        return self.counts.get(product, 0.0) / self.total if self.total else 0.0

    def fading(self, at: int) -> float:
        """What makes of `counts` how many came, as that counts at this moment."""
        return float(2.0 ** min(0.0, max(-1000.0, (self.since - at) / self.half_life_ms)))

    def _begin_at(self, at: int, factor: float) -> None:
        self.counts = {each: scaled for each, count in self.counts.items() if (scaled := count * factor) > 1e-9}
        self.total *= factor
        self.since = at
