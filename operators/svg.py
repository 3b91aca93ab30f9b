"""A flow as a picture that stands alone: an SVG with its own colours, for light and for dark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape

from operators.flow import Flow
from operators.picture import (
    MARGIN,
    TEXT_SIZE,
    Box,
    Line,
    event_words,
    picture,
    text_width,
    trigger_words,
)
from state.events import Event

_STYLE = """
svg { --paper: #fbfaf8; --box: #ffffff; --ink: #22262b; --soft: #626a73; --line: #a3abb3; --edge: #d7dce1;
  --enter: #1f8a58; --wait: #b7791f; --send: #2f6fd0; --when: #7a4fc0; --leave: #c0392b; --chip: #eef1f4; }
@media (prefers-color-scheme: dark) { svg { --paper: #15181c; --box: #1f242a; --ink: #e8eaed; --soft: #9aa4af;
  --line: #5d6873; --edge: #333b44; --enter: #4cc38a; --wait: #e0a93e; --send: #6ea8ff; --when: #b392f0;
  --leave: #ff7b72; --chip: #272d34; } }
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, "DejaVu Sans", sans-serif;
  fill: var(--ink); }
.name { font-size: 22px; font-weight: 700; } .title { font-size: 14px; font-weight: 600; }
.text { font-size: 12px; fill: var(--soft); } .flat { font-size: 12px; font-weight: 600; text-anchor: middle; }
.paper { fill: var(--paper); } .box { fill: var(--box); stroke: var(--edge); stroke-width: 1.2; }
.line { fill: none; stroke: var(--line); stroke-width: 1.6; } .head { fill: var(--line); }
.chip { fill: var(--chip); } .badge { font-size: 12px; font-weight: 700; text-anchor: middle; fill: var(--box); }
.enter { fill: var(--enter); } .wait { fill: var(--wait); } .send { fill: var(--send); } .when { fill: var(--when); }
.leave { fill: var(--leave); } .icon { fill: none; stroke: var(--box); stroke-width: 1.5; stroke-linecap: round;
  stroke-linejoin: round; }
.tag { fill: var(--box); stroke: var(--when); stroke-width: 1.3; } .tag.arm { stroke-dasharray: 4 3; }
.tagtext { fill: var(--when); } .out { fill: var(--box); stroke: var(--leave); stroke-width: 1.3; }
.outtext { fill: var(--leave); } .done { fill: var(--box); stroke: var(--line); stroke-width: 1.3; }
"""
_ICONS: Mapping[str, str] = {
    "enter": "M-5 0 H4 M0.5 -4 L4.5 0 L0.5 4",
    "wait": "M0 -6.2 A6.2 6.2 0 1 1 -0.01 -6.2 M0 -3.2 V0.4 L2.6 2",
    "experiment": "M-2.2 -6 H2.2 M-1.2 -6 V-1.5 L-5 5.5 H5 L1.2 -1.5 V-6 M-3 2.5 H3",
    "email": "M-6.5 -4.5 H6.5 V4.5 H-6.5 Z M-6.5 -4.2 L0 1 L6.5 -4.2",
    "sms": "M-6 -5 H6 V3 H0 L-3 6 V3 H-6 Z M-2.6 -1 H2.6",
    "push": "M-5 3 H5 L3.6 1 V-1.6 A3.6 3.6 0 0 0 -3.6 -1.6 V1 Z M-1.4 5.4 H1.4",
    "webhook": "M-2 -4.5 L-6 0 L-2 4.5 M2 -4.5 L6 0 L2 4.5",
}
_COLOURS: Mapping[str, str] = {"enter": "enter", "wait": "wait", "experiment": "when"}
_CHIP = 26.0


def svg(flow: Flow[Any], version: str = "", parked: Mapping[str, int] | None = None, *, stopped: bool = False) -> str:
    """The flow as a whole file.  `parked` (by wait) shows how many rest where."""
    chips = list(_chips(flow, parked, stopped=stopped))
    head = text_width(flow.name, 22, bold=True) + text_width(version, TEXT_SIZE) + 12
    rows = _rows(chips, max(head, 380.0, picture(flow, parked).width - 2 * MARGIN))
    top = MARGIN + 24 + (_CHIP + 8) * len(rows)
    drawn = picture(flow, parked, top)
    width = max(drawn.width, max([head, *(sum(w + 8 for _, _, w in row) - 8 for row in rows)]) + 2 * MARGIN)
    shift = (width - drawn.width) / 2
    body = [
        f'<text class="name" x="{MARGIN:g}" y="{MARGIN + 16:g}">{escape(flow.name)}'
        f'<tspan class="text" dx="12" font-weight="400">{escape(version)}</tspan></text>',
        *_chip_rows(rows),
        f'<g transform="translate({shift:.1f} 0)">',
        *map(_line, drawn.lines),
        *map(_box, drawn.boxes),
        "</g>",
    ]
    size = f'width="{width:.0f}" height="{drawn.height:.0f}" viewBox="0 0 {width:.0f} {drawn.height:.0f}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="The flow {escape(flow.name)}">\n'
        f"<style>{_STYLE}</style>\n"
        '<rect class="paper" width="100%" height="100%" rx="10"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _chips(flow: Flow[Any], parked: Mapping[str, int] | None, *, stopped: bool) -> Iterator[tuple[str, str]]:
    """Words about the flow as a whole, each with its colour."""
    if stopped:
        yield "stopped", "leave"
    if flow.closed:
        yield "closed: nobody enters", "leave"
    if parked is not None:
        yield f"{sum(parked.values()):,} inside now", "wait"
    if flow.per is not Event:
        yield f"one passage per {event_words(flow.per).removesuffix(' Event').lower()}", ""
    if flow.restart:
        yield "each entering event starts it over", ""
    if flow.priority:
        yield f"priority {flow.priority}", ""
    for trigger in flow.leave:
        yield f"leaves on {trigger_words(trigger)}", "leave"


def _rows(chips: list[tuple[str, str]], room: float) -> list[list[tuple[str, str, float]]]:
    rows: list[list[tuple[str, str, float]]] = []
    left = 0.0
    for text, colour in chips:
        width = text_width(text, TEXT_SIZE) + 26
        if not rows or left + width > room:
            rows.append([])
            left = 0.0
        rows[-1].append((text, colour, width))
        left += width + 8
    return rows


def _chip_rows(rows: list[list[tuple[str, str, float]]]) -> Iterator[str]:
    for n, row in enumerate(rows):
        x, y = MARGIN, MARGIN + 32 + n * (_CHIP + 8)
        for text, colour, width in row:
            yield f'<rect class="chip" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{_CHIP:g}" rx="13"/>'
            if colour:
                yield f'<circle class="{colour}" cx="{x + 13:.1f}" cy="{y + 13:.1f}" r="4"/>'
            at = x + (22 if colour else 13)
            yield f'<text class="text" x="{at:.1f}" y="{y + 17:.1f}">{escape(text)}</text>'
            x += width + 8


def _line(line: Line) -> str:
    (x1, y1), (x2, y2) = line.start, line.end
    end = y2 - 7
    if abs(x1 - x2) < 0.5:
        path = f"M{x1:.1f} {y1:.1f} V{end:.1f}"
    else:
        bend = max(line.bend, y1)
        middle = (bend + end) / 2
        path = f"M{x1:.1f} {y1:.1f} V{bend:.1f} C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {end:.1f}"
    head = f"M{x2 - 4.5:.1f} {end - 1:.1f} h9 l-4.5 7 z"
    return f'<path class="line" d="{path}"/><path class="head" d="{head}"/>'


def _box(box: Box) -> str:
    tip = f"<title>{escape(box.tip)}</title>" if box.tip else ""
    left, middle = box.x - box.width / 2, box.y + box.height / 2
    frame = f'x="{left:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:g}"'
    if box.kind == "fork":
        return f'<circle class="when" cx="{box.x:.1f}" cy="{middle:.1f}" r="5"/>'
    if box.kind in ("when", "arm", "leave", "end"):
        shape, words = {"leave": ("out", "outtext"), "end": ("done", "")}.get(box.kind, (f"tag {box.kind}", "tagtext"))
        text = f'<text class="flat {words}" x="{box.x:.1f}" y="{middle + 4:.1f}">{escape(box.title)}</text>'
        return f'<g>{tip}<rect class="{shape}" {frame} rx="{box.height / 2:g}"/>{text}</g>'
    colour = _COLOURS.get(box.kind, "send")
    parts = [
        f'<rect class="box" {frame} rx="10"/>',
        f'<circle class="{colour}" cx="{left + 26:.1f}" cy="{middle:.1f}" r="14"/>',
        f'<path class="icon" transform="translate({left + 26:.1f} {middle:.1f})" d="{_ICONS[box.kind]}"/>',
        f'<text class="title" x="{left + 50:.1f}" y="{middle - 3:.1f}">{escape(box.title)}</text>',
        f'<text class="text" x="{left + 50:.1f}" y="{middle + 14:.1f}">{escape(box.text)}</text>',
    ]
    if box.badge:
        wide = text_width(box.badge, TEXT_SIZE, bold=True) + 14
        x = left + box.width - wide - 10
        parts.append(f'<rect class="wait" x="{x:.1f}" y="{middle - 11:.1f}" width="{wide:.1f}" height="22" rx="11"/>')
        parts.append(f'<text class="badge" x="{x + wide / 2:.1f}" y="{middle + 4:.1f}">{escape(box.badge)}</text>')
    return f"<g>{tip}{''.join(parts)}</g>"
