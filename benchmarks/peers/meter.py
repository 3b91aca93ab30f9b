"""CPU time of a process and all its descendants, seen from outside: every thread counts, RocksDB's too."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

SAMPLE_SECONDS = 0.02
FAMILY_SECONDS = 0.2  # how often it is looked whether there are new descendants
_SCHEDULED = 2  # Linux: the clock of what a whole process was scheduled for


class Meter:
    """Samples from entering to leaving."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._used: dict[int, float] = {}
        self._times: list[float] = []
        self._totals: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample_always, name="meter", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def used(self, at: float) -> float:
        """CPU seconds used until this wall time, between two samples in proportion."""
        after = bisect_left(self._times, at)
        if after == 0 or after == len(self._times):
            return self._totals[min(after, len(self._times) - 1)]
        (began, ended), (low, high) = self._times[after - 1 : after + 1], self._totals[after - 1 : after + 1]
        return low + (high - low) * (at - began) / (ended - began)

    def _sample_always(self) -> None:
        look_at = 0.0
        while not self._over.wait(SAMPLE_SECONDS):
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + FAMILY_SECONDS
                for pid in _family(self._pid):
                    self._used.setdefault(pid, 0.0)
            for pid in self._used:
                try:
                    self._used[pid] = time.clock_gettime(_clock_of(pid))
                except OSError:
                    continue  # it has ended; what it used stays counted
            self._times.append(time.time())
            self._totals.append(sum(self._used.values()))


def _clock_of(pid: int) -> int:
    """The id that clock_getcpuclockid(3) gives."""
    return (~pid << 3) | _SCHEDULED


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found = children.read_text().split()
        except OSError:
            continue
        for child in found:
            yield from _family(int(child))
