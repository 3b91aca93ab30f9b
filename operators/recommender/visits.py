"""What a visitor looked at last, and what others may be taught by it.

Poisoning is bounded here.  Within her memory of `MEMORY` products a visitor teaches each ordered pair once, at most by
the weight of her strongest event, and each product at most `TAUGHT_MAX` successors.  Who teaches without end is heard
`SPENT_MAX` times at once, and then only as fast as that is forgotten: half of it in a day.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import msgspec

from operators.recommender.decay import DAY_MS

MEMORY = 30  # distinct products; what is pushed out may be taught anew
CONTEXT = 4  # of them, the latest, are taught what comes next
NEARER = 0.6  # what a product counts relative to the one seen right after it
TAUGHT_MAX = 20
SPENT_MAX = 200.0


class Seen(msgspec.Struct, array_like=True, gc=False):
    """One product in her memory.  `first` and `last` count her events; `weight` is that of her strongest event."""

    first: int
    last: int
    times: int = 1
    weight: float = 1.0
    taught: int = 0


class Visit(msgspec.Struct, array_like=True):
    """Her memory, oldest product first.  A plain value that `msgspec` writes and reads; fields are added at the end."""

    seen: dict[str, Seen] = {}
    count: int = 0
    at: int = 0
    spent: float = 0.0

    def see(self, product: str, at: int, weight: float = 1.0) -> None:
        """She came to this product."""
        # Without `max`, which would be called for each event.
        count = self.count = self.count + 1
        if at > self.at:
            self.at = at
        before = self.seen
        seen = before.pop(product, None)
        if seen is None:
            seen = Seen(count, count, 1, weight)
            if len(before) >= MEMORY:
                del before[next(iter(before))]
        else:
            seen.last = count
            seen.times += 1
            if weight > seen.weight:
                seen.weight = weight
        before[product] = seen

    def latest(self, limit: int) -> Iterator[tuple[str, Seen]]:
        """Her last distinct products, newest first."""
        return islice(reversed(self.seen.items()), limit)

    def may_teach(self, at: int) -> bool:
        """True while she is heard; counts as one lesson."""
        if at > self.at:
            self.spent *= 0.5 ** ((at - self.at) / DAY_MS)
        if self.spent >= SPENT_MAX:
            return False
        self.spent += 1.0
        return True


def joined(one: Visit, other: Visit) -> Visit:
    """As if one visitor had come to what the later one saw after all that the earlier one saw."""
    early, late = sorted((one, other), key=lambda each: each.at)
    seen = dict(early.seen)
    for product, hers in late.seen.items():
        before = seen.pop(product, None)
        now = seen[product] = Seen(
            hers.first + early.count, hers.last + early.count, hers.times, hers.weight, hers.taught
        )
        if before is not None:
            now.first, now.times = before.first, now.times + before.times
            now.weight, now.taught = max(now.weight, before.weight), now.taught + before.taught
    kept = dict(list(seen.items())[-MEMORY:])
    spent = late.spent + early.spent * 0.5 ** ((late.at - early.at) / DAY_MS)
    return Visit(kept, early.count + late.count, late.at, spent)


def lessons(visit: Visit, product: str, weight: float) -> list[tuple[str, float]]:
    """Which products she came from to this one, and how much that counts; before the visit has seen it."""
    mine = visit.seen.get(product)
    found, near = [], 1.0
    for earlier, seen in visit.latest(CONTEXT):
        if earlier != product:
            if mine is None or mine.last < seen.first:
                if seen.taught < TAUGHT_MAX:
                    seen.taught += 1
                    found.append((earlier, near * weight))
            elif weight > mine.weight:
                found.append((earlier, near * (weight - mine.weight)))
        near *= NEARER
    return found
