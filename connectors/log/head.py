"""A partition's head: where its last whole frame ends, as the last writer left it.

One small file per partition.  Writers hold its lock while they append, and rewrite it before anything is
acknowledged; so no process needs to walk through a segment to find the end.  What a killed writer left behind the
head is looked at by the next one.  The head is believed only within one boot of the machine: a power cut may keep
the head and lose what it speaks of, and then the frames themselves are asked.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

from crc32c import crc32c

NAME = "head"
_FORM = struct.Struct(">4sI36sQQQ")
_CHECKED = struct.Struct(">36sQQQ")
_MAGIC = b"IMPH"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_TRIES = 3


class Head(NamedTuple):
    """The last segment's first offset, the bytes of whole frames in it, and the offset the next record gets."""

    first: int
    size: int
    next: int
    current: bool = True  # written since this machine was started


@cache
def boot() -> bytes:
    """What tells one boot of this machine from another, where something does."""
    try:
        return _BOOT.read_text().strip().encode()[:36]
    except OSError:
        return b"unknown"


def open_head(folder: Path) -> int:
    return os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o600)


@contextmanager
def locked(descriptor: int) -> Iterator[None]:
    """Nobody else appends meanwhile.  The kernel lets go of it when the process is killed."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def read(descriptor: int) -> Head | None:
    """What the last writer left; None where nobody wrote a head, or not a whole one."""
    for _ in range(_TRIES):  # without the lock, one may look while it is being rewritten
        raw = os.pread(descriptor, _FORM.size, 0)
        if len(raw) == _FORM.size:
            magic, checksum, when, first, size, following = _FORM.unpack(raw)
            if magic == _MAGIC and crc32c(_CHECKED.pack(when, first, size, following)) == checksum:
                return Head(first, size, following, current=when == boot().ljust(36, b"\0"))
        elif not raw:
            break
    return None


def peek(folder: Path) -> Head | None:
    """The head of a partition that one only reads."""
    try:
        descriptor = os.open(folder / NAME, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return read(descriptor)
    finally:
        os.close(descriptor)


def write(descriptor: int, head: Head) -> None:
    checked = _CHECKED.pack(boot(), head.first, head.size, head.next)
    os.pwrite(descriptor, _FORM.pack(_MAGIC, crc32c(checked), boot(), head.first, head.size, head.next), 0)
