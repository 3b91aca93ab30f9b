"""The shard clock: the moment before which every source has been read.

Each process that reads sources reports how far it has come; the clock is the least of what all report.
Pure: reports in, an instant out.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

REPLAY_SETTLE_MS = 2_000
_HISTORY_MAX = 512


class Report(NamedTuple):
    """What one process says of the input partitions it reads.  Times in milliseconds.

    `busy`: the least event time reached by a partition with more to read; None when all are at their
    ends.  `idle`: when (wall) the earliest of the fetches began that found nothing; None when none did.
    `furthest`: the greatest event time reached by any.  `complete`: every partition has reported since
    the start.  `settled`: the results of couriers have been read to their end as it was at the start.
    `stalled`: a partition that nobody can read is left out.
    """

    process: int
    wall: int
    busy: int | None
    idle: int | None
    furthest: int
    complete: bool
    settled: bool
    stalled: bool = False


class ShardClock:
    """Merges the reports of all processes.  It never runs backward."""

    def __init__(self, processes: int, *, live: bool) -> None:
        self._processes = processes
        self._live = live
        self._reports: dict[int, Report] = {}
        self._furthest: dict[int, deque[tuple[int, int]]] = {}
        self.now: int | None = None

    @property
    def settled(self) -> bool:
        return len(self._reports) == self._processes and all(report.settled for report in self._reports.values())

    @property
    def stalled(self) -> bool:
        """Whether the clock goes on without a source."""
        return any(report.stalled for report in self._reports.values())

    def take(self, report: Report) -> bool:
        """Take a report in; whether the clock moved."""
        self._reports[report.process] = report
        if not self._live:
            self._furthest.setdefault(report.process, deque(maxlen=_HISTORY_MAX)).append((report.wall, report.furthest))
        return self._move(self._least())

    def jump(self, at: int) -> bool:
        """Set the clock by hand: the marks of a file, and its play-out."""
        return self._move(at)

    def _move(self, least: int | None) -> bool:
        if least is None or (self.now is not None and least <= self.now):
            return False
        self.now = least
        return True

    def _least(self) -> int | None:
        reports = self._reports.values()
        if len(reports) < self._processes or not all(report.complete for report in reports):
            return None
        bounds = [report.busy for report in reports if report.busy is not None]
        if self._live:
            bounds += [report.idle for report in reports if report.idle is not None]
        else:
            # What is at its end counts as the furthest any had reached when its end was looked at: what
            # comes after that look may be older than what others have read since.
            bounds += [
                self._furthest_by(report.idle - REPLAY_SETTLE_MS) for report in reports if report.idle is not None
            ]
        return min(bounds, default=None)

    def _furthest_by(self, wall: int) -> int:
        reached = 0
        for history in self._furthest.values():
            reached = max(reached, next((far for told, far in reversed(history) if told <= wall), 0))
        return reached
