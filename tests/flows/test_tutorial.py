"""The tutorial does what it says: its files are written, its commands run, and what they print is what stands there."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.flows.commands import ROOT

PAGE = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
NAMED = re.compile(r"`([\w/]+\.\w+)`:\s+\Z")  # what is said last before a block is the name of its file
LIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Step(NamedTuple):
    """A file to write, or a command to run, with what is in it or what it prints."""

    file: str
    command: str
    text: str


def steps(page: str) -> Iterator[Step]:
    """In the order of the page."""
    for block in BLOCK.finditer(page):
        language, text = block.groups()
        if language == "console":
            for command, printed in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
                yield Step("", command, printed)
        elif named := NAMED.search(page[: block.start()]):
            yield Step(named.group(1), "", text)


def run(command: str, folder: Path) -> str:
    """As in a shell where `.venv` is active."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("IMPULS_")}
    env = {**inherited, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "160"}
    ended = subprocess.run(command, shell=True, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"$ {command}\n{ended.stdout}{ended.stderr}"
    return ended.stdout + ended.stderr


@pytest.mark.timeout(300)
def test_the_tutorial_works_as_it_stands(tmp_path: Path) -> None:
    taken = list(steps(PAGE.read_text()))
    assert [step.file for step in taken if step.file.endswith(".py")] == [
        "my_flows.py",
        "test_my_flows.py",
        "my_flows_2.py",
    ]
    assert sum("impuls " in step.command for step in taken) >= 6
    for step in taken:
        if step.file:
            (tmp_path / step.file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / step.file).write_text(step.text)
            continue
        printed = run(step.command, tmp_path)
        alike = doctest.OutputChecker().check_output(step.text, printed, LIKE)
        assert alike, f"$ {step.command}\n{printed}\ninstead of\n{step.text}"
    assert "<svg" in (tmp_path / "helping.svg").read_text()
