"""Processes with much in memory ask for large pages, unless whoever runs them said otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows import huge_pages
from flows.huge_pages import environment

ASKED = {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
# Tells what it was started with, how often, and with which arguments.
TOLD = "import os, sys; from flows import huge_pages; print('begun', flush=True); huge_pages.start_again(); "
TOLD += "print(os.environ.get('PYTHONMALLOC'), os.environ.get('GLIBC_TUNABLES'), sys.argv[1:])"
# Tells how many times the kernel had to put memory under 200 MiB that are taken bit by bit.
TAKEN = """
import resource, sys, time
from flows import huge_pages
def faults(): return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
ahead = "ahead" in sys.argv and huge_pages.keep_ahead() is not None
before = faults()
taken = []
for _ in range(100):
    taken += [b"x" * 100_000 for _ in range(20)]
    time.sleep(0.03)
print(ahead, faults() - before)
"""


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huge_pages, "_are_there", lambda: True)


@pytest.mark.usefixtures("there")
def test_what_else_is_in_the_environment_stays() -> None:
    assert environment({"HOME": "/"}) == {"HOME": "/", **ASKED}
    both = "glibc.malloc.arena_max=2:glibc.malloc.hugetlb=1"
    assert environment({"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}) == {**ASKED, "GLIBC_TUNABLES": both}


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("said", [{"PYTHONMALLOC": "pymalloc"}, {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}, ASKED])
def test_whoever_said_so_has_it_otherwise(said: dict[str, str]) -> None:
    assert environment(said) == said


def test_nothing_is_asked_of_a_machine_that_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "enabled").write_text("always madvise [never]\n")
    monkeypatch.setattr(huge_pages, "_KERNEL", tmp_path / "enabled")
    assert environment({}) == {}
    monkeypatch.setattr(huge_pages, "_KERNEL", tmp_path / "not-there")
    assert environment({}) == {}
    (tmp_path / "enabled").write_text("always [madvise] never\n")
    monkeypatch.setattr(huge_pages, "_KERNEL", tmp_path / "enabled")
    for libc, expected in (("glibc 2.36", ASKED), ("glibc 2.31", {}), ("musl 1.2.4", {}), ("", {})):
        monkeypatch.setattr(os, "confstr", lambda _, libc=libc: libc)
        assert environment({}) == expected


@pytest.mark.skipif(not huge_pages._are_there(), reason="no large pages on this machine")
def test_a_process_begins_anew_once_with_its_arguments() -> None:
    given = {name: value for name, value in os.environ.items() if name not in ASKED}
    command = [sys.executable, "-c", TOLD, "one", "two words"]
    told = subprocess.run(command, env=given, capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == ["begun", "begun", "malloc glibc.malloc.hugetlb=1 ['one', 'two words']"]
    plain = {**given, "PYTHONMALLOC": "pymalloc"}
    told = subprocess.run(command, env=plain, capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == ["begun", "pymalloc None ['one', 'two words']"]


@pytest.mark.skipif(not huge_pages._are_there(), reason="no large pages on this machine")
def test_the_heap_is_ahead_of_what_is_taken() -> None:
    def told(*arguments: str) -> tuple[bool, int]:
        command = [sys.executable, "-c", TAKEN, *arguments]
        given = {name: value for name, value in os.environ.items() if name not in ASKED}
        ran = subprocess.run(command, env=environment(given), capture_output=True, text=True, check=True)
        ahead, faults = ran.stdout.split()
        return ahead == "True", int(faults)

    ahead, faults = told("ahead")
    assert ahead
    assert faults < told()[1] / 2


def test_where_pages_are_small_nothing_is_done() -> None:
    plain = {**os.environ, "PYTHONMALLOC": "pymalloc"}
    ran = subprocess.run([sys.executable, "-c", TAKEN, "ahead"], env=plain, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("False")
