"""What was tried and what came of it, summed up over as many slices as one likes, in a file that is always whole."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.proof.verdict import Verdict
from state.files import write_whole

COUNTS = ("kills_under_work", "lost", "wrong", "doubled", "repeated_mails", "repeated_mails_unexplained")


class Results:
    """`into` is read where it is there, and written after every trial; None for a run that stands alone."""

    def __init__(self, into: Path | None, faults: Iterable[str]) -> None:
        self._into = into
        self.json: dict[str, Any] = dict.fromkeys(COUNTS, 0)
        self.json |= {"faults": {}, "broken": [], "runs": []}
        if into is not None and into.exists():
            self.json |= json.loads(into.read_text())
        for name in faults:
            self.json["faults"].setdefault(name, {"tried": 0, "failed": 0, "seconds": 0.0})

    @property
    def is_well(self) -> bool:
        return not self.json["broken"]

    def tried(self, fault: str) -> int:
        return int(self.json["faults"][fault]["tried"])

    def begin(self, run: Mapping[str, Any]) -> None:
        """Another slice."""
        self.json["runs"].append(dict(run))

    def add(
        self, fault: str, verdict: Verdict, *, kills: int, seconds: float, notes: Mapping[str, int], again: str
    ) -> None:
        """One trial of a fault, or as many as it killed."""
        of = self.json["faults"].setdefault(fault, {"tried": 0, "failed": 0, "seconds": 0.0})
        of["tried"] += 1
        of["failed"] += int(bool(verdict.broken))
        of["seconds"] = round(of["seconds"] + seconds, 1)
        of["decisions"] = of.get("decisions", 0) + verdict.decisions
        of["mails"] = of.get("mails", 0) + verdict.mails
        if notes:
            of["seen"] = dict(Counter(of.get("seen", {})) + Counter(notes))
        self.json["kills_under_work"] += kills
        self.json["repeated_mails"] += verdict.mails_twice
        self.json["repeated_mails_unexplained"] += verdict.counts["unexplained"]
        for kind in ("lost", "wrong", "doubled"):
            self.json[kind] += verdict.counts[kind]
        self.json["broken"] += [f"{fault}: {fact} (again: {again})" for fact in verdict.broken]
        self.save()

    def skip(self, fault: str, why: str) -> None:
        """It cannot be tried here."""
        self.json["faults"][fault]["skipped"] = why
        self.save()

    def save(self) -> None:
        if self._into is not None:
            self._into.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._into, json.dumps(self.json, indent=1) + "\n")

    def table(self) -> str:
        """One line for each fault."""
        lines = [f"  {'fault':<20}{'tried':>7}{'failed':>8}{'decisions':>11}{'mails':>8}  seen"]
        for name, of in self.json["faults"].items():
            seen = ", ".join(f"{what} {count}" for what, count in of.get("seen", {}).items())
            told = of.get("skipped", seen) if not of["tried"] else seen
            counts = f"{of['tried']:>7}{of['failed']:>8}{of.get('decisions', 0):>11}{of.get('mails', 0):>8}"
            lines.append(f"  {name:<20}{counts}  {told}")
        return "\n".join(lines)
