"""Does a message go on working, or was it new?  The lift by the week in which customers were assigned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from operators.measuring.lift import ALPHA, Interval, conversion_lift
from operators.measuring.outcomes import Outcomes

NOVEL_WEEKS = 2
"""So long a message counts as new; set before any data, so that the comparison stays valid under peeking."""

Pair = tuple[Outcomes, Outcomes]
Verdict = Literal["", "fades", "grows"]


class Novelty(NamedTuple):
    """`verdict` is empty until the weeks after differ from the first ones beyond chance."""

    by_week: dict[int, Interval]
    new: Interval
    later: Interval
    verdict: Verdict


def novelty(weeks: Mapping[int, Pair], alpha: float = ALPHA) -> Novelty:
    """(treated, control) by week of assignment, in any numbering that goes up by one a week.

    Each interval of `by_week` holds on its own.  The verdict compares two, each held to α/2.
    """
    start = min(weeks, default=0) + NOVEL_WEEKS
    new = conversion_lift(*_together(pair for week, pair in weeks.items() if week < start), alpha / 2)
    later = conversion_lift(*_together(pair for week, pair in weeks.items() if week >= start), alpha / 2)
    verdict: Verdict = "fades" if later.high < new.low else "grows" if later.low > new.high else ""
    return Novelty({week: conversion_lift(*weeks[week], alpha) for week in sorted(weeks)}, new, later, verdict)


def _together(pairs: Iterable[Pair]) -> Pair:
    treated, control = Outcomes(), Outcomes()
    for one, other in pairs:
        treated, control = treated + one, control + other
    return treated, control
