"""Where everything goes when a flow is drawn: boxes and the lines between them, in pixels.

The steps go down the page; the branches of a split, of an experiment and of a wait for an event stand side
by side and come together again below.  What it looks like is in `operators.svg`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from operators.flow import Flow
from operators.steps import Choose, Experiment, Leave, Send, Split, Step, Trigger, Wait, named
from operators.verdicts import span
from state.events import Event

Kind = Literal["enter", "wait", "experiment", "email", "sms", "push", "webhook", "when", "arm", "fork", "leave", "end"]
Point = tuple[float, float]

GAP, MERGE, ASIDE, MARGIN = 30.0, 46.0, 28.0, 28.0
TITLE_SIZE, TEXT_SIZE = 14.0, 12.0
_WIDE_MAX = 300.0
_HEIGHTS: Mapping[str, float] = {"when": 28, "arm": 28, "fork": 10, "leave": 30, "end": 30}
_NARROW, _BROAD = frozenset("iljtfrI.,:;'|!() "), frozenset("mwMW%@—")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class Box:
    """`x` is its middle, `y` its top.  `tip` is what it says whole where there was no room for it."""

    kind: Kind
    title: str
    text: str = ""
    badge: str = ""
    tip: str = ""
    width: float = 0
    x: float = 0
    y: float = 0

    @property
    def height(self) -> float:
        return _HEIGHTS.get(self.kind, 54.0)


@dataclass(frozen=True)
class Line:
    """From one point down to `bend`, then in a curve to another."""

    start: Point
    bend: float
    end: Point
    arrow: bool = True


@dataclass
class Picture:
    width: float = 0
    height: float = 0
    boxes: list[Box] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


def picture(flow: Flow[Any], parked: Mapping[str, int] | None = None, top: float = 0) -> Picture:
    """The layout of a flow below `top`; `parked` says how many rest at each wait."""
    where = f"where {named(flow.enter.where, 'where')}" if flow.enter.where is not None else ""
    enter = _sized(Box("enter", event_words(flow.enter.event), where or "enters"))
    whole = _Row([_One(enter), *_blocks(flow.steps, parked or {}), _One(_sized(Box("end", "through")))])
    drawn = Picture()
    left, right = whole.left, whole.right
    whole.place(MARGIN + left, top + MARGIN, drawn)
    drawn.width, drawn.height = left + right + 2 * MARGIN, top + whole.height + 2 * MARGIN
    return drawn


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """At most so wide in the usual sans-serif faces, the wide ones included."""
    ems = sum(0.36 if c in _NARROW else 0.95 if c in _BROAD else 0.74 if c.isupper() else 0.64 for c in text)
    return ems * size * (1.08 if bold else 1)


def event_words(kind: type[Event]) -> str:
    """`Cart Changed`."""
    return "".join(f" {c}" if c.isupper() else c for c in kind.__name__).strip()


def trigger_words(trigger: Trigger[Any]) -> str:
    where = f" where {named(trigger.where, 'where')}" if trigger.where is not None else ""
    return f"{event_words(trigger.event)}{where}"


def wait_words(wait: Wait[Any]) -> str:
    if wait.local is not None:
        day = f"{_DAYS[wait.local.weekday]} " if wait.local.weekday is not None else ""
        return f"until {day}{wait.local.hour:02}:{wait.local.minute:02}"
    longest = span(wait.at_most_ms)
    if wait.spread:
        return f"spread over {longest}"
    if wait.moment is not None:
        return f"until {named(wait.moment, wait.name)}, at most {longest}"
    return f"{trigger_words(wait.until)}, at most {longest}" if wait.until is not None else longest


# -- blocks: what has a size and can be placed


class _Block(Protocol):
    """`left` and `right` of the line on which one comes in."""

    @property
    def left(self) -> float: ...
    @property
    def right(self) -> float: ...
    @property
    def height(self) -> float: ...

    def place(self, x: float, y: float, drawn: Picture) -> list[Point]:
        """Draw it below this point; the points at which one comes out, none where all leave."""


@dataclass
class _One:
    box: Box

    @property
    def left(self) -> float:
        return self.box.width / 2

    right = left

    @property
    def height(self) -> float:
        return self.box.height

    def place(self, x: float, y: float, drawn: Picture) -> list[Point]:
        drawn.boxes.append(replace(self.box, x=x, y=y))
        return [] if self.box.kind in ("leave", "end") else [(x, y + self.height)]


@dataclass
class _Row:
    """One below the other."""

    blocks: Sequence[_Block]

    def __post_init__(self) -> None:
        self.left = max(block.left for block in self.blocks)
        self.right = max(block.right for block in self.blocks)
        gaps = sum(self._gap(n) for n in range(len(self.blocks) - 1))
        self.height = sum(block.height for block in self.blocks) + gaps

    def place(self, x: float, y: float, drawn: Picture) -> list[Point]:
        exits: list[Point] = []
        for n, block in enumerate(self.blocks):
            if n and not exits:
                break  # nobody comes here
            came = block.place(x, y, drawn)
            drawn.lines += [Line(point, y - self._gap(n - 1), (x, y)) for point in exits]
            exits, y = came, y + block.height + self._gap(n)
        return exits

    def _gap(self, n: int) -> float:
        return MERGE if isinstance(self.blocks[n], _Fork) else GAP


@dataclass
class _Fork:
    """A box, and branches side by side under it."""

    head: Box
    branches: Sequence[_Block]

    def __post_init__(self) -> None:
        self.across = sum(each.left + each.right for each in self.branches) + ASIDE * (len(self.branches) - 1)
        self.left = self.right = max(self.across, self.head.width) / 2
        self.height = self.head.height + MERGE + max(each.height for each in self.branches)

    def place(self, x: float, y: float, drawn: Picture) -> list[Point]:
        drawn.boxes.append(replace(self.head, x=x, y=y))
        at, below = x - self.across / 2, y + self.head.height
        exits: list[Point] = []
        for branch in self.branches:
            middle = at + branch.left
            drawn.lines.append(Line((x, below), below, (middle, below + MERGE)))
            exits += branch.place(middle, below + MERGE, drawn)
            at += branch.left + branch.right + ASIDE
        return exits


def _blocks(steps: Sequence[Step[Any]], parked: Mapping[str, int]) -> list[_Block]:
    return [_block(step, parked) for step in steps]


def _block(step: Step[Any], parked: Mapping[str, int]) -> _Block:
    match step:
        case Send(template, others):
            within = span(round(template.within.total_seconds() * 1000))
            text = f"{template.channel}, {template.kind}, within {within}"
            text += "".join(f", else {each.channel} {each.name}" for each in others)
            return _One(_sized(Box(template.channel, template.name, text)))
        case Wait():
            count = parked.get(step.name, 0)
            box = _sized(Box("wait", step.name, wait_words(step), f"{count:,}" if count else ""))
            if not step.or_else or step.until is None:
                return _One(box)
            late = _branch("when", "not come", step.or_else, parked)
            return _Fork(box, [_branch("when", f"{event_words(step.until.event)} came", (), parked), late])
        case Split(cases, otherwise):
            branches = [_branch("when", named(test, "when"), steps, parked) for test, steps in cases]
            return _Fork(_sized(Box("fork", "")), [*branches, _branch("when", "otherwise", otherwise, parked)])
        case Experiment():
            text = "choice that learns" if isinstance(step, Choose) else "experiment, sticky"
            head = _sized(Box("experiment", step.name, text))
            return _Fork(
                head, [_branch("arm", f"{arm.name} {arm.percent:g} %", arm.steps, parked) for arm in step.arms]
            )
        case Leave():
            return _One(_sized(Box("leave", "leaves")))
        case _:
            raise AssertionError(f"unknown step {step!r}")


def _branch(kind: Kind, label: str, steps: Sequence[Step[Any]], parked: Mapping[str, int]) -> _Block:
    return _Row([_One(_sized(Box(kind, label))), *_blocks(steps, parked)])


def _sized(box: Box) -> Box:
    """Wide enough for what it says; what is too long for any box is cut, and whole in its tip."""
    if box.kind == "fork":
        return replace(box, width=10)
    flat = box.kind in _HEIGHTS
    around = 28.0 if flat else 62.0 + (text_width(box.badge, TEXT_SIZE, bold=True) + 22 if box.badge else 0)
    size = TEXT_SIZE if flat else TITLE_SIZE
    room = _WIDE_MAX - around
    title = _cut(box.title, size, room, bold=True)
    text = _cut(box.text, TEXT_SIZE, room)
    needed = max(text_width(title, size, bold=True), text_width(text, TEXT_SIZE)) + around
    tip = f"{box.title}: {box.text}" if (title, text) != (box.title, box.text) else ""
    return replace(box, title=title, text=text, width=max(needed, 64 if flat else 170), tip=tip)


def _cut(text: str, size: float, room: float, *, bold: bool = False) -> str:
    if text_width(text, size, bold=bold) <= room:
        return text
    while text and text_width(text + "…", size, bold=bold) > room:
        text = text[:-1]
    return text + "…"
