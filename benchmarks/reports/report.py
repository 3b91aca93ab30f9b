"""A report: what was measured, where, with which settings; as a file that others can read and compare.

The form is versioned.  A field added later has a default, so that older files are read; a file of a newer form is
refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from benchmarks.figures import median

SCHEMA = 1


class NoReport(ValueError):
    """A file that is no report; the message says why and which would be."""


class Measure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One number per repetition.  `goal` is one-sided: at most when less is better, at least when more is.

    `judged`: one of the few that a comparison of two reports gives a verdict on.
    """

    name: str
    says: str
    unit: str
    values: list[float]
    better: Literal["less", "more"] = "less"
    goal: float | None = None
    judged: bool = False
    note: str = ""

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def reached(self) -> bool | None:
        """None where there is no goal."""
        if self.goal is None:
            return None
        return self.median <= self.goal if self.better == "less" else self.median >= self.goal


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution of milliseconds, in the compressed text form of the HdrHistogram libraries."""

    name: str
    histogram: str


class Series(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line over time; those of one `chart` belong together.  None where there was nothing to measure."""

    chart: str
    name: str
    unit: str
    x: list[float]
    y: list[float | None]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured, and what."""

    machine: str
    versions: str
    commit: str


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All there is to hand on.  `says` is a paragraph on what was done; `notes` are on how to read it."""

    schema: int
    title: str
    says: str
    made_at: str
    place: Place
    settings: dict[str, str]
    measures: list[Measure]
    curves: list[Curve] = []
    series: list[Series] = []
    warnings: list[str] = []
    notes: list[str] = []

    def measure(self, name: str) -> Measure | None:
        return next((each for each in self.measures if each.name == name), None)


class _Form(msgspec.Struct):
    schema: int = 0


def save(report: Report, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def read(path: Path) -> Report:
    """Raises `NoReport`, or `OSError` where there is no such file."""
    raw = path.read_bytes()
    way_out = "A file that `impuls-bench run … --out FILE` wrote will do."
    try:
        schema = msgspec.json.decode(raw, type=_Form).schema
        if schema > SCHEMA:
            raise NoReport(
                f"{path}: a report of form {schema}, and this version reads up to {SCHEMA}. Read it with a newer one."
            )
        if schema < 1:
            raise NoReport(f"{path}: JSON, but no report. {way_out}")
        return msgspec.json.decode(raw, type=Report)
    except msgspec.DecodeError as error:
        raise NoReport(f"{path}: no report ({error}). {way_out}") from None
