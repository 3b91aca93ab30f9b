"""What if: the decisions of two versions of the flows over one history, side by side.

Both files of decisions are sorted by customer and read together, one customer and flow at a time, so that
memory is bounded whatever their length.  A message is the same where passage and step are; else, within one passage,
where the template is; else, where one is sent in the other's place at the same moment.
"""

from __future__ import annotations

import heapq
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from flows.cli_replay import SortedRuns

Change = Literal["gains", "loses", "other_message", "other_time", "other_reason"]
CHANGES: tuple[Change, ...] = ("gains", "loses", "other_message", "other_time", "other_reason")
CAPS = frozenset({"cap", "min_gap", "arbitration"})
_SEPARATOR = "\x00"


class Fate(msgspec.Struct, frozen=True):
    """What finally became of one message: its last decision, by which it was sent, skipped, or is still put off."""

    message: str
    at: str
    outcome: str
    reason: str = ""

    @property
    def is_sent(self) -> bool:
        return self.outcome == "send"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One message of one customer that the two versions decide about otherwise; None where one has no such message."""

    change: Change
    flow: str
    before: Fate | None
    after: Fate | None

    @property
    def by_cap(self) -> bool:
        """Whether a limit makes the difference: one version sends what the other loses to it."""
        silent = self.before if self.change == "gains" else self.after
        return self.change in ("gains", "loses") and silent is not None and silent.reason in CAPS


class Differing(msgspec.Struct, frozen=True):
    """A line of `compare.jsonl`.  She notices nothing where only the reasons for her silence differ."""

    customer: str
    notices: bool
    changes: list[Difference]


@dataclass
class Tally:
    """The numbers: per flow and message what was sent and what changed, and how many customers it concerns."""

    outcomes: tuple[Counter[tuple[str, str, str, str]], ...] = field(default_factory=lambda: (Counter(), Counter()))
    changes: Counter[tuple[str, str, str]] = field(default_factory=Counter[tuple[str, str, str]])
    caps: Counter[tuple[str, str, str]] = field(default_factory=Counter[tuple[str, str, str]])
    customers: Counter[str] = field(default_factory=Counter[str])
    same: int = 0

    def sent(self, side: int, flow: str, message: str) -> int:
        return self.outcomes[side][flow, message, "send", ""]

    def messages(self) -> list[tuple[str, str]]:
        """Every flow and message that either version decided about."""
        return sorted({(flow, message) for side in self.outcomes for flow, message, _, _ in side})


class _Made(msgspec.Struct):
    """What is read of a decision."""

    decision_id: str
    message_id: str
    at: str
    customer: str
    flow: str
    passage: str
    message: str
    outcome: str
    reason: str = ""


class _Told(NamedTuple):
    message_id: str
    passage: str
    fate: Fate


_decode = msgspec.json.Decoder(_Made).decode
_encode = msgspec.json.Encoder().encode


def compare(before: Path, after: Path, out: Path, progress: Callable[[int, int], None] | None = None) -> Tally:
    """Compare two `decisions.jsonl`; every customer with a difference is a line of `out`, in order of their ids."""
    scratch = out.with_name(".compare")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    total, read = before.stat().st_size + after.stat().st_size, 0

    def on_read(count: int) -> None:
        nonlocal read
        read += count
        if progress is not None:
            progress(read, total)

    tally, fresh = Tally(), out.with_name(f".{out.name}")
    try:
        with ExitStack() as stack, fresh.open("wb") as lines:
            sides = [_by_customer(path, scratch, name, on_read, stack) for name, path in (("a", before), ("b", after))]
            for customer, changes in _joined(sides[0], sides[1], tally):
                if changes:
                    lines.write(_encode(Differing(customer, _notices(changes), changes)) + b"\n")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    fresh.rename(out)
    return tally


def _by_customer(
    path: Path, scratch: Path, name: str, on_read: Callable[[int], None], stack: ExitStack
) -> Iterator[tuple[str, str, list[_Made]]]:
    """(customer, flow, decisions in order of time), in order of customer and flow."""
    runs = SortedRuns(scratch, name)
    with path.open("rb") as lines:
        for line in lines:
            made = _decode(line)
            runs.add(_SEPARATOR.join((made.customer, made.flow, made.at, made.decision_id)), line.rstrip(b"\n"))
            on_read(len(line))
    runs.close()
    opened = [stack.enter_context(run.open("rb")) for run in sorted(scratch.glob(f"{name}-*"))]
    merged = heapq.merge(*opened, key=lambda line: line.partition(b"\t")[0])
    made_in_order = (_decode(line.partition(b"\t")[2]) for line in merged)
    for (customer, flow), group in groupby(made_in_order, key=lambda made: (made.customer, made.flow)):
        yield customer, flow, list(group)


def _joined(
    before: Iterator[tuple[str, str, list[_Made]]], after: Iterator[tuple[str, str, list[_Made]]], tally: Tally
) -> Iterator[tuple[str, list[Difference]]]:
    """Each customer with her differences, over all flows."""
    rows = heapq.merge(
        ((0, *row) for row in before),
        ((1, *row) for row in after),
        key=lambda row: (row[1].encode(), row[2].encode()),
    )
    for customer, hers in groupby(rows, key=lambda row: row[1]):
        changes: list[Difference] = []
        for flow, sides in groupby(hers, key=lambda row: row[2]):
            told: list[list[_Told]] = [[], []]
            for side, _, _, made in sides:
                told[side] = _fates(made)
            changes += _differences(flow, told[0], told[1], tally)
        _count_customer(tally, changes)
        yield customer, changes


def _fates(made: Iterable[_Made]) -> list[_Told]:
    """The last decision about each message, in order of time; what is sent after a deferral keeps its own moment."""
    last: dict[str, _Made] = {}
    for each in made:
        last[each.message_id] = each
    return [_Told(m.message_id, m.passage, Fate(m.message, m.at, m.outcome, m.reason)) for m in last.values()]


def _differences(flow: str, before: list[_Told], after: list[_Told], tally: Tally) -> list[Difference]:
    for side, told in enumerate((before, after)):
        for each in told:
            tally.outcomes[side][flow, each.fate.message, each.fate.outcome, each.fate.reason] += 1
    found = []
    for one, other in _pairs(before, after):
        change = _change(one, other)
        if change is None:
            tally.same += 1
            continue
        difference = Difference(change=change, flow=flow, before=one, after=other)
        named = other if other is not None and (change == "gains" or one is None) else one
        message = named.message if named is not None else ""
        tally.changes[flow, message, change] += 1
        if difference.by_cap:
            tally.caps[flow, message, change] += 1
        found.append(difference)
    return found


def _pairs(before: list[_Told], after: list[_Told]) -> Iterator[tuple[Fate | None, Fate | None]]:
    """Which message stands for which; the most certain sign first."""
    left, right = list(before), list(after)
    for sign in (_same_step, _same_template, _same_moment):
        known: dict[tuple[str, str], list[_Told]] = {}
        for each in right:
            known.setdefault(sign(each), []).append(each)
        for one in list(left):
            if others := known.get(sign(one)):
                other = others.pop(0)
                left.remove(one)
                right.remove(other)
                yield one.fate, other.fate
    yield from ((one.fate, None) for one in left)
    yield from ((None, other.fate) for other in right)


def _same_step(told: _Told) -> tuple[str, str]:
    return told.message_id, ""


def _same_template(told: _Told) -> tuple[str, str]:
    return told.passage, told.fate.message


def _same_moment(told: _Told) -> tuple[str, str]:
    return told.passage, told.fate.at


def _change(before: Fate | None, after: Fate | None) -> Change | None:
    was, will = before is not None and before.is_sent, after is not None and after.is_sent
    if was != will:
        return "gains" if will else "loses"
    if before is None or after is None:
        return "other_reason"
    if was and before.message != after.message:
        return "other_message"
    if was and before.at != after.at:
        return "other_time"
    if (before.message, before.outcome, before.reason) != (after.message, after.outcome, after.reason):
        return "other_reason"
    return None


def _count_customer(tally: Tally, changes: list[Difference]) -> None:
    tally.customers["all"] += 1
    if changes:
        tally.customers["changed"] += 1
    if _notices(changes):
        tally.customers["noticing"] += 1
    for change in {each.change for each in changes}:
        tally.customers[change] += 1


def _notices(changes: list[Difference]) -> bool:
    return any(each.change != "other_reason" for each in changes)


def previous_removed(folder: Path) -> None:
    """Take away what an earlier comparison left, so that a failed one does not show old numbers."""
    with suppress(FileNotFoundError):
        (folder / "compare.jsonl").unlink()
