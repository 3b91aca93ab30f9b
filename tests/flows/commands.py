"""The command line as people use it: a process of its own, with what it printed and how it ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_MAIN = "from flows.cli import main; main()"


@dataclass(frozen=True)
class Ended:
    """`out` and `err` as text, and the exit code."""

    code: int
    out: str
    err: str

    def lines(self) -> list[dict[str, Any]]:
        """What was printed as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


def impuls(*arguments: str | Path, path: Path | None = None, cwd: Path = ROOT, **environment: str) -> Ended:
    """Run `impuls`; `path` is a folder whose modules can be imported beside ours."""
    found = os.pathsep.join(str(each) for each in (ROOT, path) if each is not None)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("IMPULS_")}
    ended = subprocess.run(
        [sys.executable, "-c", _MAIN, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**inherited, "PYTHONPATH": found, **environment},
        timeout=110,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)
