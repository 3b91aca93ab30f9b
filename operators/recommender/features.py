"""What is known of each candidate at the moment it is shown, in numbers that a linear model can weigh.

Candidates come with a score that mixes probabilities by adding them; what a sum cannot say is said here: that several
sources agree, that she saw the product a moment ago, that it sells.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from operators.recommender.guesses import DOUBT
from operators.recommender.model import CoVisitation
from operators.recommender.rows import Row
from operators.recommender.visits import Seen, Visit

Features = dict[str, float]

NEAR = 2  # of her latest products whose rows are asked
_LEAST = 1e-4
_BACKS_MAX = 5
_OF_ROWS = tuple(tuple(f"{side} {place}" for side in ("after", "before")) for place in range(NEAR))


def features(model: CoVisitation, visit: Visit, ranked: Sequence[tuple[str, float]], now: float) -> list[Features]:
    """Of candidates with their scores, best first.  `now`: the gain of this moment, see `decay`."""
    return [whole(one) for one in measured(model, visit, ranked, now)]


def measured(model: CoVisitation, visit: Visit, ranked: Sequence[tuple[str, float]], now: float) -> list[Features]:
    """Without what follows from the rest: as features are logged, for `whole`."""
    if not ranked:
        return []
    top = ranked[0][1] or 1.0
    back = {product: place for place, (product, _) in enumerate(visit.latest(_BACKS_MAX))}
    rows = [model.rows.get(product) for product, _ in visit.latest(NEAR)]
    found = []
    for place, (item, score) in enumerate(ranked):
        one = {"place": -log(1 + place), "score": log(max(_LEAST, score / top))}
        one["sells"] = log(_LEAST + model.sells(item))
        _of_rows(one, item, rows, DOUBT * now)
        if item in visit.seen:
            _of_visit(one, visit.seen[item], back.get(item, _BACKS_MAX))
        found.append(one)
    return found


def whole(one: Features) -> Features:
    """With which rows speak of it at all, and that those of two products agree."""
    near, far = ([name for name in names if name in one] for names in _OF_ROWS)
    found = dict(one)
    for name in (*near, *far):
        found[f"is {name}"] = 1.0
    for first in near:
        for second in far:
            found[" and ".join(sorted((first, second)))] = 1.0
    return found


def _of_rows(found: Features, item: str, rows: Sequence[Row | None], doubt: float) -> None:
    """What followed and preceded her latest products."""
    for (after, before), row in zip(_OF_ROWS, rows, strict=False):
        if row is None:
            continue
        if (weight := row.after.get(item)) is not None:
            found[after] = log(_LEAST + weight / (row.after_total + doubt))
        if (weight := row.before.get(item)) is not None:
            found[before] = log(_LEAST + weight / (row.before_total + doubt))


def _of_visit(found: Features, seen: Seen, back: int) -> None:
    found["seen"] = 1.0
    found["times"] = log(seen.times)
    found["strong"] = float(seen.weight > 1.0)
    found[f"back {back}"] = 1.0
