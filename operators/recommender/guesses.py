"""Guesses at the next product of a visit: where candidates come from, each source with its slot in the mixture.

A slot tells guesses apart by kind, by how far back the product they come from stands in the visit, by how much is known
of it, and by how long the visit is.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from operators.recommender.popularity import Popularity
from operators.recommender.rows import Row
from operators.recommender.store import Rows
from operators.recommender.trust import Trust
from operators.recommender.visits import Visit

AGO = 15  # products she saw that may come again
CONTEXT = 6  # of them, the latest, have neighbours that may come
HOPS = 6  # nearest neighbours of the last product that bring theirs
NEAR = 3  # of the latest products the whole rows speak, of the older ones their nearest neighbours
DOUBT = 0.3  # events that every row is short of, so that one event does not make a certainty
_EVIDENCE = (1.5, 4.0, 10.0, 40.0)  # events
_LEVELS = len(_EVIDENCE) + 1
_LENGTHS = 4  # visits of one, two, three, and more products
_TIMES = 4  # seen once, twice, three times, and more


class Kind(NamedTuple):
    """A family of slots; `reason` is what a shop may say of what it brings."""

    reason: str
    begin: float
    backs: int
    levels: int


AFTER = Kind("seen_next", 0.5, NEAR, _LEVELS)
BEFORE = Kind("seen_before", 0.2, NEAR, _LEVELS)
AROUND = Kind("seen_with", 0.5, CONTEXT, _LEVELS)
FURTHER = Kind("seen_further", 0.3, 1, _LEVELS)
AGAIN = Kind("again", 0.3, AGO, _TIMES)
SELLS = Kind("popular", 0.05, 1, 1)
KINDS = (AFTER, BEFORE, AROUND, FURTHER, AGAIN, SELLS)


def _slots() -> tuple[dict[Kind, int], list[float]]:
    first, weights = {}, list[float]()
    for kind in KINDS:
        first[kind] = len(weights)
        for back in range(kind.backs):
            weights += [kind.begin / (1 + back)] * (kind.levels * _LENGTHS)
    return first, weights


_FIRST, _BEGIN = _slots()
_REASONS = [kind.reason for kind in KINDS for _ in range(kind.backs * kind.levels * _LENGTHS)]
_AFTER, _BEFORE, _AROUND, _FURTHER, _AGAIN, _SELLS = (_FIRST[kind] for kind in KINDS)


def fresh_trust() -> Trust:
    """Before anything was learnt."""
    return Trust(list(_BEGIN), [0] * len(_BEGIN))


class Guesses(NamedTuple):
    """All guesses at one moment of a visit, not yet summed up.

    `spread`: slot, the product it comes from, products with weights, and the factor that makes probabilities of them.
    `around` and `hops`: slot or share, source, and a row whose nearest neighbours are meant; `again`: slot, product.
    """

    doubt: float
    spread: list[tuple[int, str, dict[str, float], float]]
    again: list[tuple[int, str]]
    around: list[tuple[int, str, Row]]
    further: int
    hops: list[tuple[str, float, Row]]

    def probabilities(self, product: str) -> list[tuple[int, float]]:
        """What each slot gives to this product."""
        doubt = self.doubt
        found = [
            (slot, weights[product] * factor if product in weights else 0.0) for slot, _, weights, factor in self.spread
        ]
        found += [(slot, 1.0 if seen == product else 0.0) for slot, seen in self.again]
        found += [(slot, row.share(product, doubt)) for slot, _, row in self.around]
        if self.hops:
            found.append((self.further, sum([share * row.share(product, doubt) for _, share, row in self.hops])))
        return found

    def scores(self, trust: Sequence[float]) -> dict[str, float]:
        """All products that have a probability, each with the sum over its slots, weighted by trust."""
        doubt = self.doubt
        scores: dict[str, float] = {}
        get = scores.get
        for slot, _, weights, factor in self.spread:
            factor *= trust[slot]
            for product, weight in weights.items():
                scores[product] = get(product, 0.0) + weight * factor
        near = [(trust[slot], row.nearest(doubt)) for slot, _, row in self.around]
        further = trust[self.further]
        near += [(further * share, row.nearest(doubt)) for _, share, row in self.hops]
        for factor, (products, shares) in near:
            for product, share in zip(products, shares):  # noqa: B905  # `strict` costs as much as five of them
                scores[product] = get(product, 0.0) + share * factor
        for slot, product in self.again:
            scores[product] = get(product, 0.0) + trust[slot]
        return scores

    def reason(self, product: str, trust: Sequence[float]) -> tuple[str, str]:
        """The kind of guess that speaks for it most, and the product that guess comes from."""
        doubt = self.doubt
        spoken = [(trust[slot] * w.get(product, 0.0) * f, _REASONS[slot], source) for slot, source, w, f in self.spread]
        spoken += [(trust[slot], AGAIN.reason, product) for slot, seen in self.again if seen == product]
        spoken += [
            (trust[slot] * row.share(product, doubt), AROUND.reason, source) for slot, source, row in self.around
        ]
        spoken += [
            (trust[self.further] * share * row.share(product, doubt), FURTHER.reason, source)
            for source, share, row in self.hops
        ]
        _, kind, source = max(spoken)
        return kind, source


def guesses(visit: Visit, rows: Rows, popularity: Popularity, now: float) -> Guesses:
    """`now`: the gain of this moment, see `decay`."""
    length = min(len(visit.seen), _LENGTHS) - 1
    doubt = DOUBT * now
    if length < 0:
        return Guesses(doubt, [(_SELLS, "", popularity.leaders(), 1.0)], [], [], 0, [])
    levels = [evidence * now for evidence in _EVIDENCE]
    spread = [(_SELLS + length, "", popularity.leaders(), 1.0)]
    again: list[tuple[int, str]] = []
    around: list[tuple[int, str, Row]] = []
    hops: list[tuple[str, float, Row]] = []
    further = 0
    for back, (product, seen) in enumerate(visit.latest(AGO)):
        times = seen.times if seen.times < _TIMES else _TIMES
        again.append((_AGAIN + (back * _TIMES + times - 1) * _LENGTHS + length, product))
        if back >= CONTEXT or (row := rows.get(product)) is None:
            continue
        after, before = row.after_total, row.before_total
        both = bisect(levels, after + before)
        if back >= NEAR:
            around.append((_AROUND + (back * _LEVELS + both) * _LENGTHS + length, product, row))
            continue
        if after:
            slot = _AFTER + (back * _LEVELS + bisect(levels, after)) * _LENGTHS + length
            spread.append((slot, product, row.after, 1.0 / (after + doubt)))
        if before:
            slot = _BEFORE + (back * _LEVELS + bisect(levels, before)) * _LENGTHS + length
            spread.append((slot, product, row.before, 1.0 / (before + doubt)))
        if not back:
            further = _FURTHER + both * _LENGTHS + length
            hops = [
                (other, share, near)
                for other, share in islice(row.nearest(doubt).items(), HOPS)
                if (near := rows.get(other)) is not None
            ]
    return Guesses(doubt, spread, again, around, further, hops)
