"""Two reports side by side, and whether what differs is more than noise.

The noise is what differs between the repetitions of one report.  Two sets of repetitions are compared by ranks
(Mann-Whitney, two-sided), which asks nothing of how the noise is distributed; since several measures are judged at
once, each must pass a stricter mark (Holm), so that two reports of the same thing show a difference in less than one
comparison of twenty.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb
from typing import Literal

from scipy.stats import mannwhitneyu

from benchmarks.figures import median, number
from benchmarks.reports.report import Measure, Report

LEVEL = 0.05
RESAMPLES = 2_000
SAYS_MAX = 48
SETTINGS_OF_NO_MATTER = {"seed"}

Verdict = Literal["better", "worse", "no difference shown", "too few repetitions to tell", ""]


@dataclass(frozen=True)
class Compared:
    """`ratio`: of B's median to A's, `low` to `high` where it lies at 95 %.  `verdict` is empty where none is given."""

    a: Measure
    b: Measure
    ratio: float
    low: float
    high: float
    chance: float  # of so great a difference between two reports of the same thing, Holm's correction included
    verdict: Verdict


def compare(a: Report, b: Report) -> list[Compared]:
    """Of each measure that both have."""
    pairs = [(each, other) for each in a.measures if (other := b.measure(each.name)) is not None]
    judged = [(x, y) for x, y in pairs if x.judged and y.judged]
    chances = dict(
        zip((x.name for x, _ in judged), holm([_chance(x.values, y.values) for x, y in judged]), strict=True)
    )
    return [_compared(x, y, chances.get(x.name), len(judged)) for x, y in pairs]


def _compared(a: Measure, b: Measure, chance: float | None, judged: int) -> Compared:
    low, high = ratio_interval(a.values, b.values)
    ratio = _ratio(a.median, b.median)
    verdict: Verdict = ""
    if chance is not None:
        least = 2 / comb(len(a.values) + len(b.values), len(a.values))
        if least * judged > LEVEL:
            verdict = "too few repetitions to tell"
        elif chance > LEVEL or ratio == 1:
            verdict = "no difference shown"
        else:
            verdict = "better" if (ratio < 1) == (a.better == "less") else "worse"
    return Compared(a, b, ratio, low, high, 1.0 if chance is None else chance, verdict)


def holm(chances: Sequence[float]) -> list[float]:
    """Each corrected for the others (Holm 1979), in the same order."""
    found = [1.0] * len(chances)
    least = 0.0
    for rank, place in enumerate(sorted(range(len(chances)), key=lambda n: chances[n])):
        least = max(least, min(1.0, (len(chances) - rank) * chances[place]))
        found[place] = least
    return found


def _chance(a: Sequence[float], b: Sequence[float]) -> float:
    if len(set(a) | set(b)) == 1:
        return 1.0
    return float(mannwhitneyu(a, b, alternative="two-sided").pvalue)


def ratio_interval(a: Sequence[float], b: Sequence[float], seed: int = 1) -> tuple[float, float]:
    """Where the ratio of the medians lies at 95 %, by drawing the repetitions again and again (bootstrap)."""
    chance = random.Random(seed)
    ratios = sorted(
        _ratio(median(chance.choices(a, k=len(a))), median(chance.choices(b, k=len(b)))) for _ in range(RESAMPLES)
    )
    return ratios[round(0.025 * RESAMPLES)], ratios[round(0.975 * RESAMPLES) - 1]


def _ratio(a: float, b: float) -> float:
    if a == b:
        return 1.0
    return b / a if a else float("inf")


def doubts(a: Report, b: Report) -> Iterator[str]:
    """What else differs between the two, and so may be the reason."""
    if _without_load(a.place.machine) != _without_load(b.place.machine):
        yield f"not the same machine: {a.place.machine} and {b.place.machine}. Ratios then say nothing about Impuls."
    if a.place.versions != b.place.versions:
        yield f"not the same versions: {_only(a, b)} and {_only(b, a)}"
    for name in sorted((a.settings.keys() | b.settings.keys()) - SETTINGS_OF_NO_MATTER):
        mine, other = a.settings.get(name, "as it comes"), b.settings.get(name, "as it comes")
        if mine != other:
            yield f"{name}: {mine} → {other}"
    for name, report in (("A", a), ("B", b)):
        if report.warnings:
            yield f"{name} has warnings of its own, the first of {len(report.warnings)}: {report.warnings[0]}"


def _only(of: Report, but: Report) -> str:
    """The versions that the other does not have."""
    others = but.place.versions.split(", ")
    return ", ".join(each for each in of.place.versions.split(", ") if each not in others) or "none of these"


def _without_load(machine: str) -> str:
    return machine.partition(", load ")[0]


def lines(a: Report, b: Report) -> Iterator[str]:
    """The comparison as people read it."""
    yield f"A: {a.title}, commit {a.place.commit}, {a.made_at}"
    yield f"B: {b.title}, commit {b.place.commit}, {b.made_at}"
    found_doubts = list(doubts(a, b))
    if found_doubts:
        yield "What differs between them:"
        yield from (f"  {each}" for each in found_doubts)
    found = compare(a, b)
    yield f"\n{'':<58}{'A':>12}{'B':>12}{'B / A':>8}  {'at 95 %':<14}"
    for each in found:
        span = f"{each.low:.2f} – {each.high:.2f}"
        yield (
            f"{_short(each.a.says) + ', ' + each.a.unit:<58}{number(each.a.median):>12}{number(each.b.median):>12}"
            f"{each.ratio:>8.2f}  {span:<14}{_said(each)}"
        )
    yield ""
    yield from _conclusion(found)


def _short(says: str) -> str:
    """To fit into a column; what stands in brackets goes first."""
    says = says if len(says) <= SAYS_MAX else says.partition(" (")[0]
    return says if len(says) <= SAYS_MAX else f"{says[: SAYS_MAX - 1]}…"


def _said(each: Compared) -> str:
    return f"{each.verdict} (p {each.chance:.3f})" if each.verdict in ("better", "worse") else each.verdict


def _conclusion(found: list[Compared]) -> Iterator[str]:
    shown = [each for each in found if each.verdict in ("better", "worse")]
    if not any(each.verdict for each in found):
        yield "The two have no measure in common that a verdict is given on."
    elif any(each.verdict == "too few repetitions to tell" for each in found):
        yield "Too few repetitions to tell a difference from noise: run both with --repeat 5 or more."
    elif not shown:
        yield "No difference shown: what differs is within what repetitions of the same differ by."
    else:
        yield f"{len(shown)} of the judged measures differ by more than noise does."
    yield "A verdict knows the noise within each report only: if the machine may have changed, run both again, in turn."
