"""A line that shows long work going on, on a terminal; quiet in a pipe."""

from __future__ import annotations

import sys
import time
from types import TracebackType

_EVERY_SECONDS = 0.2


class Bar:
    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._shown = sys.stderr.isatty()
        self._next = 0.0
        self._started = time.monotonic()

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def at(self, count: int, total: int = 0) -> None:
        now = time.monotonic()
        if not self._shown or now < self._next:
            return
        self._next = now + _EVERY_SECONDS
        rate = count / max(0.001, now - self._started)
        share = f"{100 * count / total:5.1f} %  " if total else ""
        print(f"\r\033[K{share}{count:,} {self._unit}, {rate:,.0f} a second", end="", file=sys.stderr, flush=True)
