"""Which flows are stopped: those an operator stopped, and those whose own code keeps failing.

A flow that failed too often starts again with the process; one that an operator stopped when she says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Set

FAILURES_MAX = 10
PERIOD_MS = 60_000


class Breaker:
    """Counts the failures of each flow in this process, so that one bad deploy does not set every event aside."""

    def __init__(self, failures_max: int = FAILURES_MAX, period_ms: int = PERIOD_MS) -> None:
        self.stopped: frozenset[str] = frozenset()
        self._tripped: frozenset[str] = frozenset()
        self._asked: frozenset[str] = frozenset()
        self._failures_max = failures_max
        self._period = period_ms
        self._failed: dict[str, deque[int]] = {}

    def failed(self, flow: str, wall: int) -> None:
        times = self._failed.setdefault(flow, deque(maxlen=self._failures_max))
        times.append(wall)
        if len(times) == self._failures_max and wall - times[0] <= self._period:
            self._tripped |= {flow}
            self.stopped = self._tripped | self._asked

    def ask(self, flows: Set[str]) -> None:
        """These are the ones that an operator wants stopped.  Any thread."""
        self._asked = frozenset(flows)
        self.stopped = self._tripped | self._asked


class NeverStops(Breaker):
    """On replay every failure is set aside: what one worker saw first must not change what is decided."""

    def failed(self, flow: str, wall: int) -> None:
        pass
