"""The coming weeks, as the weeks before would have been told in advance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

from operators.measuring.lift import Interval

DAYS = 7
WEEKS_MIN = 3
"""Of the past, before anything is told."""
SMOOTHING = 0.5
"""The best or nearly so, of 0.1 … 1, on the weekly orders and revenue of two shops."""


def forecast(daily: Sequence[float], weeks: int = 4, coverage: float = 0.9) -> list[Interval]:
    """Sums of the coming weeks from a value for each day; fewer weeks, or none, where there is too little to go by.

    Simple exponential smoothing of the weeks counted back from the last day, by River: so there is no weekly season
    to learn, and a trend, tried on the same shops, made it two to five times worse.  The interval is as wide as
    `coverage` of its own errors when it told, from each day of the past, as many weeks ahead (split conformal).
    Sums of what cannot be negative end at zero.
    """
    errors: list[list[float]] = [[] for _ in range(weeks)]
    for day in range(WEEKS_MIN * DAYS, len(daily) - DAYS + 1):
        expected = _smoothed(daily[:day])
        for ahead, missed in enumerate(errors):
            week = daily[day + ahead * DAYS : day + (ahead + 1) * DAYS]
            if len(week) == DAYS:
                missed.append(abs(math.fsum(week) - expected))
    told = []
    for missed in errors:
        rank = math.ceil((len(missed) + 1) * coverage)
        if rank > len(missed):
            break
        half, expected = sorted(missed)[rank - 1], _smoothed(daily)
        told.append(Interval(expected, max(0.0, expected - half), expected + half))
    return told


def _smoothed(daily: Sequence[float]) -> float:
    from river import time_series  # here, since it takes as long to import as all commands together

    model = time_series.HoltWinters(alpha=SMOOTHING)  # type: ignore[no-untyped-call]
    for first in range(len(daily) % DAYS, len(daily), DAYS):
        model.learn_one(math.fsum(daily[first : first + DAYS]))  # type: ignore[no-untyped-call]
    return max(0.0, cast(float, model.forecast(1)[0]))  # type: ignore[no-untyped-call]
