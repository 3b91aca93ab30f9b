"""Memory in pages of two megabytes instead of four kilobytes, for processes that keep much in it.

Who holds many thousand customers or products reads memory in no order, and on a virtual machine it costs as much to
find where a small page lies as to read it.  glibc (from 2.35 on) asks the kernel for large pages where it is told to
when a process starts, and Python leaves its memory to glibc where it is told to, too; see docs/decisions/0017.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

ALLOCATOR, TUNABLES = "PYTHONMALLOC", "GLIBC_TUNABLES"
_HUGE = "glibc.malloc.hugetlb"
_KERNEL = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # of mallopt(3)
_POPULATE_WRITE = 23  # of madvise(2), from Linux 5.14 on
_PAGE = 2 << 20
_STEP = 64 << 20
_LOOK_SECONDS, _PAUSE_SECONDS = 0.05, 0.005


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


def keep_ahead() -> threading.Thread | None:
    """Let the heap grow in steps of 64 MiB, and touch each in a thread of its own before it is needed.

    A large page that is touched for the first time is filled with zeros, and on a virtual machine may have to be found
    first: five milliseconds were seen, in which no event was decided about.  Where the process was not started with
    large pages, or the kernel cannot do it, nothing is done.  The thread ends with the process.
    """
    if os.environ.get(ALLOCATOR) != "malloc" or f"{_HUGE}=1" not in os.environ.get(TUNABLES, "") or not _are_there():
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    libc.sbrk.restype = ctypes.c_void_p
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    libc.mallopt(_MMAP_THRESHOLD, 32 << 20)  # its greatest, which glibc comes to by itself when it is left to choose
    libc.mallopt(_TRIM_THRESHOLD, 2 * _STEP)
    libc.mallopt(_TOP_PAD, _STEP)
    thread = threading.Thread(target=_touch_ahead, args=(libc,), name="heap", daemon=True)
    thread.start()
    return thread


def _touch_ahead(libc: ctypes.CDLL) -> None:
    touched = _end(libc)
    while True:
        end = _end(libc)
        touched = min(touched, end)
        if touched == end:
            time.sleep(_LOOK_SECONDS)
        elif libc.madvise(touched, _PAGE, _POPULATE_WRITE) == 0:
            touched += _PAGE
            time.sleep(_PAUSE_SECONDS)  # the other threads have the processor first
        elif ctypes.get_errno() == errno.EINVAL:
            return  # this kernel cannot
        else:
            touched = end  # it was given back meanwhile, or there is no more: whoever needs it is told


def _end(libc: ctypes.CDLL) -> int:
    """Of the heap, down to where a large page begins."""
    return int(libc.sbrk(0)) // _PAGE * _PAGE


def _are_there() -> bool:
    """Whether this is glibc and a kernel that give them."""
    try:
        name, _, release = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        numbers = tuple(int(part) for part in release.split(".")[:2])
        return name == "glibc" and numbers >= (2, 35) and "[never]" not in _KERNEL.read_text(encoding="ascii")
    except (ValueError, OSError):
        return False
