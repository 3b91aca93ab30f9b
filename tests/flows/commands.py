"""The command line as people use it: a process of its own, with what it printed and how it ended."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flows.cli import main
from flows.cli.app import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
SECONDS_MAX = 110.0
_MAIN = "from flows.cli import main; main()"
_forked = multiprocessing.get_context("forkserver")
_forked.set_forkserver_preload([f"flows.cli.{place.module}" for place in COMMANDS.values()])


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
    ended = subprocess.run(
        [sys.executable, "-c", _MAIN, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**_inherited(), "PYTHONPATH": found, **environment},
        timeout=SECONDS_MAX,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def asked(*arguments: str | Path, path: Path | None = None, cwd: Path = ROOT) -> Ended:
    """The same for what is asked again and again: the process is forked from one that has made all imports, which take
    a second, and which nearly all of such a command's time is for."""
    with TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = _forked.Process(target=_run, args=([*map(str, arguments)], path, cwd, out, err))
        process.start()
        process.join(SECONDS_MAX)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"impuls {' '.join(map(str, arguments))}: not within {SECONDS_MAX:g} s")
        return Ended(process.exitcode, out.read_text(), err.read_text())


def _run(arguments: list[str], path: Path | None, cwd: Path, out: Path, err: Path) -> None:
    for file, stream in ((out, sys.stdout), (err, sys.stderr)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), stream.fileno())
    os.chdir(cwd)
    inherited = _inherited()
    os.environ.clear()
    os.environ.update(inherited)
    if path is not None:
        sys.path.insert(0, str(path))
    sys.argv = ["-c", *arguments]
    main()


def _inherited() -> dict[str, str]:
    """Without what would be a setting, and without the width of a terminal, which workers of pytest-xdist have."""
    return {name: value for name, value in os.environ.items() if not name.startswith("IMPULS_") and name != "COLUMNS"}
