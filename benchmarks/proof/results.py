"""What was tried and what came of it, summed up over as many slices as one likes, in a file that is always whole."""

from __future__ import annotations

import fcntl
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.proof.verdict import Verdict
from state.files import write_whole

COUNTS = ("kills_under_work", "lost", "wrong", "doubled", "repeated_mails", "repeated_mails_unexplained")


class Results:
    """`into` is read where it is there, and written after every trial; None for a run that stands alone.

    Several slices may run side by side: each change is made to what the file says then, under a lock.
    """

    def __init__(self, into: Path | None, faults: Iterable[str]) -> None:
        self._into = into
        self.json: dict[str, Any] = dict.fromkeys(COUNTS, 0)
        self.json |= {"faults": {}, "broken": [], "begun": {}, "runs": []}
        self._faults = list(faults)
        self._read()

    @property
    def is_well(self) -> bool:
        return not self.json["broken"]

    def begun(self, fault: str) -> int:
        """How many trials of it were begun, here and elsewhere."""
        return int(self.json["begun"].get(fault, 0))

    def tried(self, fault: str) -> int:
        """How many of them came to their end."""
        return int(self.json["faults"].get(fault, {}).get("tried", 0))

    def begin(self, run: Mapping[str, Any]) -> None:
        """Another slice."""
        with self._changed():
            self._run = len(self.json["runs"])
            self.json["runs"].append(dict(run))

    def end(self, seconds: float) -> None:
        """This slice took so long."""
        with self._changed():
            self.json["runs"][self._run]["seconds"] = round(seconds)

    def take(self, fault: str) -> int:
        """The number of a trial of this fault that nobody has begun."""
        with self._changed():
            number = self.begun(fault)
            self.json["begun"][fault] = number + 1
        return number

    def add(
        self, fault: str, verdict: Verdict, *, kills: int, seconds: float, notes: Mapping[str, int], again: str
    ) -> None:
        """One trial of a fault, or as many as it killed."""
        with self._changed():
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

    def skip(self, fault: str, why: str) -> None:
        """It cannot be tried here."""
        with self._changed():
            self.json["faults"][fault]["skipped"] = why

    @contextmanager
    def _changed(self) -> Iterator[None]:
        """Inside, `json` is what the file says, and may be changed."""
        if self._into is None:
            yield
            return
        self._into.parent.mkdir(parents=True, exist_ok=True)
        with self._into.with_name(f".{self._into.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._read()
            yield
            write_whole(self._into, json.dumps(self.json, indent=1) + "\n")

    def _read(self) -> None:
        if self._into is not None and self._into.exists():
            self.json |= json.loads(self._into.read_text())
        for name in self._faults:
            self.json["faults"].setdefault(name, {"tried": 0, "failed": 0, "seconds": 0.0})

    def table(self) -> str:
        """One line for each fault."""
        lines = [f"  {'fault':<20}{'tried':>7}{'failed':>8}{'decisions':>11}{'mails':>8}  seen"]
        for name, of in self.json["faults"].items():
            seen = ", ".join(f"{what} {count}" for what, count in of.get("seen", {}).items())
            told = of.get("skipped", seen) if not of["tried"] else seen
            counts = f"{of['tried']:>7}{of['failed']:>8}{of.get('decisions', 0):>11}{of.get('mails', 0):>8}"
            lines.append(f"  {name:<20}{counts}  {told}")
        return "\n".join(lines)
