"""Stops a flow whose own code keeps failing, so that one bad deploy does not set every event aside."""

from __future__ import annotations

from collections import deque

FAILURES_MAX = 10
PERIOD_MS = 60_000


class Breaker:
    """Counts the failures of each flow in this process; a stopped flow starts again with the process."""

    def __init__(self, failures_max: int = FAILURES_MAX, period_ms: int = PERIOD_MS) -> None:
        self.stopped: set[str] = set()
        self._failures_max = failures_max
        self._period = period_ms
        self._failed: dict[str, deque[int]] = {}

    def failed(self, flow: str, wall: int) -> None:
        times = self._failed.setdefault(flow, deque(maxlen=self._failures_max))
        times.append(wall)
        if len(times) == self._failures_max and wall - times[0] <= self._period:
            self.stopped.add(flow)


class NeverStops(Breaker):
    """On replay every failure is set aside: what one worker saw first must not change what is decided."""

    def failed(self, flow: str, wall: int) -> None:
        pass
