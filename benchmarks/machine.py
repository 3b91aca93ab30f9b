"""Where a measurement was made: without that a number means nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHOWN = ("bytewax", "rocksdict", "msgspec", "cryptography", "aiosmtplib", "kafka-python")


def described() -> list[str]:
    """Lines that say the machine, the versions and the commit."""
    return [f"machine   {machine()}", f"versions  {versions()}", f"commit    {commit()}"]


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
