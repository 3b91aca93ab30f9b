"""Whether the shards hold back so many events that the partitions furthest ahead must wait for the slowest.

Events are held where some partitions are read far ahead of another (`operators.held`).  They are never dropped;
at the bound the sources stop reading ahead, in every process of the deployment.
"""

from __future__ import annotations

from collections.abc import Callable

from operators.clock import ShardClock
from operators.held import Held


class Pressure:
    """The shards of this process; `others` says whether those of another process are at their bound."""

    def __init__(self, others: Callable[[], bool] = lambda: False) -> None:
        self._others = others
        self._shards: list[tuple[Held, ShardClock]] = []

    def add(self, held: Held, clock: ShardClock) -> None:
        self._shards.append((held, clock))

    def is_high(self) -> bool:
        return any(held.is_full for held, _ in self._shards) or self._others()

    def clock(self) -> int | None:
        """The earliest shard clock of this process; None while one is not set."""
        clocks = [clock.now for _, clock in self._shards]
        return None if None in clocks else min((now for now in clocks if now is not None), default=None)
