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


def features(model: CoVisitation, visit: Visit, ranked: Sequence[tuple[str, float]], now: float) -> list[Features]:
    """Of candidates with their scores, best first.  `now`: the gain of this moment, see `decay`."""
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


def _of_rows(found: Features, item: str, rows: Sequence[Row | None], doubt: float) -> None:
    """What followed and preceded her latest products, and that two of them agree."""
    said = []
    for place, row in enumerate(rows):
        if row is None:
            continue
        for side, weights, total in (
            ("after", row.after, row.after_total),
            ("before", row.before, row.before_total),
        ):
            weight = weights.get(item)
            if weight is not None:
                name = f"{side} {place}"
                found[f"is {name}"], found[name] = 1.0, log(_LEAST + weight / (total + doubt))
                said.append(name)
    for one in said:
        for other in said:
            if one < other and one[-1] != other[-1]:
                found[f"{one} and {other}"] = 1.0


def _of_visit(found: Features, seen: Seen, back: int) -> None:
    found["seen"] = 1.0
    found["times"] = log(seen.times)
    found["strong"] = float(seen.weight > 1.0)
    found[f"back {back}"] = 1.0
