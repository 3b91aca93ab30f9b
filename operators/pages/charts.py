"""Charts as inline SVG: lines over an axis, drawn to be read in a page that is light or dark, printed or mailed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 320
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 54, 46
COLOURS = 6
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Line:
    """Points in order of x; where y is None the line is interrupted."""

    name: str
    points: Sequence[tuple[float, float | None]]


@dataclass(frozen=True)
class Axis:
    """From where to where, with its ticks and how they are written; `place` maps a value to 0…1."""

    says: str
    ticks: Sequence[tuple[float, str]]
    place: Callable[[float], float]


def linear(says: str, low: float, high: float, ticks: int = 6) -> Axis:
    """An axis that begins and ends at a round number."""
    step = _round_up((high - low) / ticks) if high > low else 1.0
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    marks = [n * step for n in range(first, last + 1)]
    width = marks[-1] - marks[0]
    return Axis(says, [(mark, f"{mark:,.10g}") for mark in marks], lambda value: (value - marks[0]) / width)


def logarithmic(says: str, low: float, high: float) -> Axis:
    """Decades, with 2 and 5 between them where there are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    last = max(last, first + 1)
    inner = (1, 2, 5) if last - first <= 3 else (1,)
    marks = [factor * 10.0**power for power in range(first, last) for factor in inner] + [10.0**last]
    return Axis(
        says,
        [(mark, f"{mark:,.10g}") for mark in marks],
        lambda value: (math.log10(max(value, 10.0**first)) - first) / (last - first),
    )


def nines(says: str, most: float) -> Axis:
    """For percentiles: each nine as wide as the one before; `most` is the greatest share shown, below 1."""
    marks = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999]
    shown = [mark for mark in marks if mark <= most]

    def place(share: float) -> float:
        return math.log10(1 - min(share, most)) / math.log10(1 - most)

    return Axis(says, [(mark, f"{100 * mark:.10g} %") for mark in shown], place)


def chart(title: str, lines: Sequence[Line], x: Axis, y: Axis) -> str:
    """The picture of these lines, with a legend when there are several."""
    label = f"{title}: {', '.join(line.name for line in lines)}; {y.says} over {x.says}"
    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">']
    parts += [f'<text class="title" x="{LEFT}" y="16">{escape(title)}</text>']
    for value, text in y.ticks:
        at = _y(y, value)
        parts.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{escape(text)}</text>')
    for value, text in x.ticks:
        at = _x(x, value)
        parts.append(f'<path class="grid" d="M{at:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        parts.append(
            f'<text class="tick" x="{at:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{escape(text)}</text>'
        )
    parts.append(f'<text class="says" x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end">{escape(x.says)}</text>')
    parts.append(f'<text class="says" x="{LEFT}" y="{HEIGHT - 8}">{escape(y.says)}, upwards</text>')
    for number, line in enumerate(lines):
        path = _path(line.points, x, y)
        if path:
            under = " under" if any(_covers(later, line) for later in lines[number + 1 :]) else ""
            parts.append(
                f'<path class="line{under} c{number % COLOURS}" d="{path}"><title>{escape(line.name)}</title></path>'
            )
    return "".join([*parts, *_legend(lines), "</svg>"])


def _covers(later: Line, line: Line) -> bool:
    """Whether most of the line would be hidden by one that is drawn over it."""
    points = [point for point in line.points if point[1] is not None]
    return 2 * len(set(points) & set(later.points)) > len(points)


def _legend(lines: Sequence[Line]) -> list[str]:
    parts, at = [], LEFT
    for number, line in enumerate(lines):
        parts.append(f'<path class="line c{number % COLOURS}" d="M{at} 34h14"/>')
        parts.append(f'<text class="tick" x="{at + 18}" y="38">{escape(line.name)}</text>')
        at += 6 * len(line.name) + 34
    return parts


def _path(points: Sequence[tuple[float, float | None]], x: Axis, y: Axis) -> str:
    parts, is_down = [], False
    for at, (where, value) in enumerate(points):
        if value is None:
            is_down = False
            continue
        alone = not is_down and (at + 1 == len(points) or points[at + 1][1] is None)
        parts.append(f"{'L' if is_down else 'M'}{_x(x, where):.1f} {_y(y, value):.1f}{'h1' if alone else ''}")
        is_down = True
    return "".join(parts)


def _x(axis: Axis, value: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * min(1.0, max(0.0, axis.place(value)))


def _y(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(1.0, max(0.0, axis.place(value)))


def _round_up(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(each * power for each in _STEPS if each * power >= step * (1 - 1e-9))
