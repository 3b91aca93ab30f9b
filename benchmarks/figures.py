"""Percentiles, medians and how they are written."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all do not exceed (nearest rank).  Raises without values."""
    if not values:
        raise ValueError("no values: nothing was measured")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def median(values: Sequence[float]) -> float:
    """The middle one, or what lies between the two in the middle.  Raises without values."""
    return statistics.median(values)


def spread(values: Sequence[float], form: str = ".1f") -> str:
    """The median, and from where to where the values go."""
    low, middle, high = min(values), median(values), max(values)
    return f"{middle:{form}} ({low:{form}} – {high:{form}})"


def number(value: float) -> str:
    """Three digits or so, as people write them."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
