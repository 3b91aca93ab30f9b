"""What a process loads before it works: a command that looks something up must not wait for what only learners need."""

from __future__ import annotations

import subprocess
import sys

import pytest

from flows.cli.app import COMMANDS
from tests.flows.commands import ROOT, impuls

HEAVY = ("bytewax", "pandas", "river", "scipy")


def loaded(code: str) -> set[str]:
    """The heavy packages that are there after this code."""
    tell = f"{code}\nimport sys\nprint(*(name for name in {HEAVY} if name in sys.modules))"
    ended = subprocess.run([sys.executable, "-c", tell], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(ended.stdout.split())


@pytest.mark.parametrize("process", ["courier", "learner", "serve", "supervisor"])
def test_only_workers_wait_for_bytewax_and_nobody_who_starts_for_scipy(process: str) -> None:
    assert loaded(f"import flows.{process}") == set()


def test_the_worker_loads_bytewax_and_no_more() -> None:
    assert loaded("import flows.worker") == {"bytewax"}


def test_a_command_loads_what_it_needs_and_no_other_command() -> None:
    assert loaded("from flows.cli.app import app_for; app_for('customer')") == set()


def test_every_command_is_in_the_help_and_a_misspelt_one_is_told_so() -> None:
    ended = impuls("--help")
    assert ended.code == 0, ended.err
    assert {line.split()[0] for line in ended.out.splitlines() if line.startswith("  ")} >= COMMANDS.keys()
    ended = impuls("explian", "c1")
    assert ended.code == 2
    assert "explain" in ended.err
