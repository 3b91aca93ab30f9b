"""Random bytes of the kernel, fetched by the page: a new customer needs 48, and a call takes as long for many.

No generator of our own: every byte is the kernel's, and given out once.
"""

from __future__ import annotations

import os
import threading

PAGE_BYTES = 4096


class _Page(threading.local):
    def __init__(self) -> None:
        self.left = b""


_page = _Page()


def random_bytes(count: int) -> bytes:
    """So many bytes, at most a page, that nobody has or had."""
    left = _page.left
    if len(left) < count:
        left = os.urandom(PAGE_BYTES)
    _page.left = left[count:]
    return left[:count]


def _forget() -> None:
    """A process that was forked has the page of the one it came from, and must give out others."""
    _page.left = b""


os.register_at_fork(after_in_child=_forget)
