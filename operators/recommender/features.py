"""What is known of each candidate at the moment it is shown, in numbers; and what a linear model can weigh of them.

Candidates come with a score that mixes probabilities by adding them; what a sum cannot say is said here: what followed
the last product, that she saw this one a moment ago, that people come back to it.  A line through such numbers says
little, so each is cut into bins, alone or together with another: what a product means to her who saw it last is one
thing within a minute and another after a day.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import log

from operators.recommender.decay import gain
from operators.recommender.guesses import DOUBT
from operators.recommender.model import CoVisitation
from operators.recommender.visits import Visit

Features = dict[str, float]

_LEAST, _LEAST_SCORE = 1e-4, 1e-6
_BACKS = 15
_IDLE = (0.5, 10.0, 30.0, 60.0, 180.0, 600.0, 1_800.0, 7_200.0, 86_400.0, 604_800.0)
_LIKELY = (-6.0, -5.0, -4.0, -3.0, -2.0, -1.2, -0.6)
_EDGES: dict[str, tuple[float, ...]] = {
    "after": _LIKELY,
    "before": _LIKELY,
    "score": (-5.5, -4.0, -3.0, -2.3, -1.7, -1.2, -0.8, -0.5, -0.25, -0.1, -1e-6),
    "level": (-7.0, -6.0, -5.0, -4.0, -3.0, -2.0, -1.5, -1.0, -0.5),
    "sells": (-8.0, -7.0, -6.0, -5.0, -4.0, -3.5, -3.0, -2.5, -2.0),
    "again": (0.1, 0.2, 0.3, 0.5),
    "above": (0.5, 1.5, 2.5, 4.5),
    "known": (0.0, 1.5, 4.0, 10.0, 40.0),
    "idle": _IDLE,
    "length": (1.5, 2.5, 3.5, 5.5, 8.5, 15.0),
    "back": (0.5, 1.5, 2.5, 3.5, 5.5, 9.5),
    "times": (1.5, 2.5, 3.5),
    "strength": (2.0, 4.0),
}
_WEIGHED_ALONE = ("after", "times", "strength")
_WEIGHED_TOGETHER = (
    ("back", "idle"),
    ("back", "length"),
    ("level", "idle"),
    ("level", "length"),
    ("before", "times"),
    ("sells", "strength"),
    ("score", "back"),
    ("strength", "idle"),
    ("again", "above"),
    ("again", "back"),
    ("after", "before"),
    ("score", "known"),
)


def measured(model: CoVisitation, visit: Visit, ranked: Sequence[tuple[str, float]], at: int) -> list[Features]:
    """Of candidates with their scores, best first, at this moment (ms); as features are logged, for `whole`.

    Of the candidate: `place` (-log), `score` (log, against the best), `level` (log), `sells` (log of its share),
    `again` (of those who come to it the share that had come before), `above` (how many before it in the list she
    knows); what `after` and `before` her last product came (log); of what she knows how far `back` it is, how many
    `times` and with what `strength` she came.  Of the visit: `known` (events about her last product), `idle` (seconds
    since she was here), `length` (products).
    """
    if not ranked:
        return []
    top = ranked[0][1] or 1.0
    back = {product: place for place, (product, _) in enumerate(visit.latest(_BACKS))}
    row = next((model.rows.get(product) for product, _ in visit.latest(1)), None)
    after, before = (row.after, row.before) if row is not None else ({}, {})
    now = gain(at)
    doubt = DOUBT * now
    of_visit = {"idle": max(0, at - visit.at) / 1000, "length": float(len(visit.seen))}
    if row is not None:
        of_visit["known"] = (row.after_total + row.before_total) / now
    found, above, again = [], 0.0, model.again(at)
    for place, (item, score) in enumerate(ranked):
        one = {
            "place": -log(1 + place),
            "score": log(max(_LEAST, score / top)),
            "level": log(max(_LEAST_SCORE, score)),
            "sells": log(_LEAST + model.sells(item)),
            "again": again(item),
            "above": above,
            **of_visit,
        }
        if row is not None:
            if item in after:
                one["after"] = log(_LEAST + after[item] / (row.after_total + doubt))
            if item in before:
                one["before"] = log(_LEAST + before[item] / (row.before_total + doubt))
        if (seen := visit.seen.get(item)) is not None:
            one |= {"back": float(back.get(item, _BACKS)), "times": float(seen.times), "strength": seen.weight}
            above += 1.0
        found.append(one)
    return found


def whole(one: Features) -> Features:
    """What is weighed: place, score and how it sells as they are, and a 1 for each bin that it is in."""
    get = one.get
    found = {"place": get("place", 0.0), "score": get("score", 0.0), "sells": get("sells", 0.0)}
    bins = [bisect_left(edges, value) if (value := get(name)) is not None else _NONE for name, edges in _BINNED]
    for at, names in _ALONE:
        found[names[bins[at]]] = 1.0
    for first, second, pairs in _TOGETHER:
        found[pairs[bins[first]][bins[second]]] = 1.0
    return found


def _bins(name: str) -> list[str]:
    """Of each bin, and last of what is not known, as `_NONE` finds it."""
    return [*(f"{name} {number}" for number in range(len(_EDGES[name]) + 1)), f"{name} -"]


_NONE = -1
_BINNED = tuple(_EDGES.items())
_AT = {name: at for at, name in enumerate(_EDGES)}
_ALONE = [(_AT[name], _bins(name)) for name in _WEIGHED_ALONE]
_TOGETHER = [
    (_AT[first], _AT[second], [[f"{one}, {other}" for other in _bins(second)] for one in _bins(first)])
    for first, second in _WEIGHED_TOGETHER
]
