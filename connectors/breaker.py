"""A circuit breaker for one provider: while it is down, nobody waits for it.

After so many failures in a row the circuit opens: calls are answered at once.  After a pause one call
probes; from then on each that succeeds lets one more go at a time, so their number doubles with every round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

FAILURES_MAX = 5
PAUSE_SECONDS_MIN = 1.0
PAUSE_SECONDS_MAX = 10.0  # a probe costs one connection; who is back must not wait as long again as they were away


class CircuitBreaker:
    """`clock` is a monotonic one, in seconds."""

    def __init__(self, clock: Callable[[], float], calls_max: int, failures_max: int = FAILURES_MAX) -> None:
        self._clock, self._calls_max, self._failures_max = clock, calls_max, failures_max
        self._failures = 0
        self._pause = PAUSE_SECONDS_MIN
        self._open_until = 0.0
        self._allowed = calls_max
        self._under_way = 0
        self._changed = asyncio.Event()

    async def enter(self) -> float:
        """Begin a call, after those that probe where some do: 0 to go ahead, else the seconds it stays open."""
        while True:
            now = self._clock()
            if now < self._open_until:
                return self._open_until - now
            if self._under_way < self._allowed:
                self._under_way += 1
                return 0.0
            self._changed.clear()
            await self._changed.wait()

    def succeeded(self) -> None:
        self._under_way -= 1
        self._changed.set()
        self._failures, self._pause = 0, PAUSE_SECONDS_MIN
        self._allowed = min(self._calls_max, self._allowed + 1)

    def failed(self) -> None:
        """The provider could not be reached, or did not answer; a refusal is an answer."""
        self._under_way -= 1
        self._changed.set()
        self._failures += 1
        if self._failures >= self._failures_max and self._clock() >= self._open_until:
            self._open_until = self._clock() + self._pause
            self._pause = min(self._pause * 2, PAUSE_SECONDS_MAX)
            self._allowed = 1
