"""Memory in pages of two megabytes instead of four kilobytes, for processes that keep much in it.

Who holds many thousand customers or products reads memory in no order, and on a virtual machine it costs as much to
find where a small page lies as to read it.  glibc (from 2.35 on) asks the kernel for large pages where it is told to
when a process starts, and Python leaves its memory to glibc where it is told to, too; see docs/decisions/0017.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

ALLOCATOR, TUNABLES = "PYTHONMALLOC", "GLIBC_TUNABLES"
_HUGE = "glibc.malloc.hugetlb"
_KERNEL = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """What to start a process with.  Whoever set one of the two variables has decided by it."""
    found = dict(given)
    if ALLOCATOR in given or _HUGE in given.get(TUNABLES, "") or not _are_there():
        return found
    found[ALLOCATOR] = "malloc"
    found[TUNABLES] = ":".join(filter(None, (given.get(TUNABLES, ""), f"{_HUGE}=1")))
    return found


def start_again() -> None:
    """Begin this process anew with large pages, where it has none; not in a child of multiprocessing, which is not its
    own master."""
    found = environment(os.environ)
    parent = getattr(sys.modules.get("multiprocessing.process"), "parent_process", lambda: None)()
    if found != dict(os.environ) and parent is None:
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, sys.orig_argv, found)


def _are_there() -> bool:
    """Whether this is glibc and a kernel that give them."""
    try:
        name, _, release = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        numbers = tuple(int(part) for part in release.split(".")[:2])
        return name == "glibc" and numbers >= (2, 35) and "[never]" not in _KERNEL.read_text(encoding="ascii")
    except (ValueError, OSError):
        return False
