"""A circuit breaker for one provider: while it is down, nobody waits for it.

After so many failures in a row the circuit opens: calls are answered at once.  After a pause one call
probes; when it succeeds, the number of calls allowed at a time doubles from one.
"""

from __future__ import annotations

from collections.abc import Callable

FAILURES_MAX = 5
PAUSE_SECONDS_MIN = 1.0
PAUSE_SECONDS_MAX = 60.0


class CircuitBreaker:
    """`clock` is a monotonic one, in seconds."""

    def __init__(self, clock: Callable[[], float], calls_max: int, failures_max: int = FAILURES_MAX) -> None:
        self._clock, self._calls_max, self._failures_max = clock, calls_max, failures_max
        self._failures = 0
        self._pause = PAUSE_SECONDS_MIN
        self._open_until = 0.0
        self._allowed = calls_max
        self._under_way = 0

    def enter(self) -> float | None:
        """Begin a call: None when it may go ahead, 0 while others are probing, else the seconds it stays open."""
        now = self._clock()
        if now < self._open_until:
            return self._open_until - now
        if self._under_way >= self._allowed:
            return 0.0
        self._under_way += 1
        return None

    def succeeded(self) -> None:
        self._under_way -= 1
        self._failures, self._pause = 0, PAUSE_SECONDS_MIN
        self._allowed = min(self._calls_max, max(1, self._allowed) * 2)

    def failed(self) -> None:
        """The provider could not be reached, or did not answer; a refusal is an answer."""
        self._under_way -= 1
        self._failures += 1
        if self._failures >= self._failures_max and self._clock() >= self._open_until:
            self._open_until = self._clock() + self._pause
            self._pause = min(self._pause * 2, PAUSE_SECONDS_MAX)
            self._allowed = 1
