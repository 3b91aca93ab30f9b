"""Where a measurement was made: without that a number means nothing."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHOWN = ("bytewax", "rocksdict", "msgspec", "cryptography", "aiosmtplib", "kafka-python")


def described() -> list[str]:
    """Lines that say the machine, how fast it is at this moment, the versions and the commit."""
    return [
        f"machine   {machine()}",
        f"speed     {pace():.0f} ns a round of a plain loop, by which two runs can be told apart from two machines",
        f"versions  {versions()}",
        f"commit    {commit()}",
    ]


def pace(rounds: int = 300_000, times: int = 5) -> float:
    """Nanoseconds of CPU for one round of a loop that looks something up and adds it: the best of several times."""
    table = {number: number for number in range(100)}
    best = float("inf")
    for _ in range(times):
        began, total = time.process_time(), 0
        for number in range(rounds):
            total += table[number % 100]
        best = min(best, time.process_time() - began)
    return 1e9 * best / rounds


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"{_processor()}, {len(os.sched_getaffinity(0))} cores, {memory} GiB, {platform.system()} "
        f"{platform.release()}, load {load} before the start"
    )


def versions() -> str:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return ", ".join([python, *(f"{name} {version(name)}" for name in SHOWN)])


def commit() -> str:
    """The commit of this tree, marked when files differ from it."""
    if not (ROOT / ".git").exists():
        return f"unknown (installed, version {version('impuls')})"  # what is around it may be another repository
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + (" with changes" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown (no git)"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
