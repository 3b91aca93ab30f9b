"""Intervals one below the other, against a line that says "no difference"."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from operators.pages.charts import WIDTH, linear

LEFT, RIGHT, TOP, BOTTOM, STEP = 230, 16, 34, 30, 24


class Range(NamedTuple):
    """`low` and `high` None where nothing is known on that side: drawn to the edge."""

    name: str
    estimate: float
    low: float | None
    high: float | None


def forest(title: str, ranges: Sequence[Range], says: str) -> str:
    """The picture; the scale spans what is known, and reaches over zero."""
    known = [value for each in ranges for value in each[1:] if value is not None]
    reach = 3 * max((abs(each.estimate) for each in ranges), default=1.0) + 1e-9
    axis = linear(says, max(-reach, min(0.0, *known)), min(reach, max(1e-9, *known)))
    height = TOP + STEP * len(ranges) + BOTTOM

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(1.0, max(0.0, axis.place(value)))

    label = f"{title}: " + "; ".join(f"{each.name} {each.estimate:.4g}" for each in ranges)
    bottom = height - BOTTOM
    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">']
    parts.append(f'<text class="title" x="12" y="16">{escape(title)}</text>')
    parts.append(f'<text class="says" x="{WIDTH - RIGHT}" y="16" text-anchor="end">{escape(says)}</text>')
    for value, text in axis.ticks:
        at, zero = x(value), " zero" if math.isclose(value, 0, abs_tol=1e-12) else ""
        parts.append(f'<path class="grid{zero}" d="M{at:.1f} {TOP - 8}V{bottom}"/>')
        parts.append(f'<text class="tick" x="{at:.1f}" y="{bottom + 14}" text-anchor="middle">{escape(text)}</text>')
    for number, each in enumerate(ranges):
        y = TOP + STEP * number + STEP / 2
        start = x(each.low) if each.low is not None else LEFT
        end = x(each.high) if each.high is not None else WIDTH - RIGHT
        parts.append(f'<text class="tick" x="12" y="{y + 4:.1f}">{escape(each.name[:36])}</text>')
        parts.append(f'<path class="line range c0" d="M{start:.1f} {y:.1f}H{end:.1f}"/>')
        parts.append(f'<circle class="dot" cx="{x(each.estimate):.1f}" cy="{y:.1f}" r="4"/>')
    return "".join([*parts, "</svg>"])
