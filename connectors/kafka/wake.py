"""Waking a thread that waits on file descriptors. Says that something happened, never what."""

from __future__ import annotations

import contextlib
import os
import select


class Wake:
    """Set from any thread; cleared and waited for by one. A set between `clear` and the look at what it stood for
    is kept, never lost."""

    def __init__(self) -> None:
        self._reads, self._writes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if hasattr(os, "pipe2") else _pipe()
        self._poll = select.poll()
        self._poll.register(self._reads, select.POLLIN)
        self._is_set = False
        self._closed = False

    def fileno(self) -> int:
        return self._reads

    def set(self) -> None:
        if self._is_set or self._closed:
            return
        self._is_set = True
        with contextlib.suppress(OSError):  # full of wakes already, or closed meanwhile
            os.write(self._writes, b"\0")

    def clear(self) -> None:
        if not self._is_set:
            return
        with contextlib.suppress(BlockingIOError):
            os.read(self._reads, 4096)
        # Last: who sets until here need not write, for the caller looks only after this.
        self._is_set = False

    def wait(self, seconds: float) -> None:
        self._poll.poll(max(0.0, seconds) * 1000)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            os.close(self._reads)
            os.close(self._writes)


def _pipe() -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends
