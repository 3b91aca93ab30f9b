"""Up to where the partitions that are read are known to be all there are.

A partition that is added takes keys over from others, and what it holds may undo a wait that is due. So the clock goes
no further than what had been appended, or read, when somebody last looked and saw no partition but those.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from state.records import Reader, Record, TopicPartition

SNAPSHOTS_MAX = 64


class Frontier:
    """`counts`: how many partitions of each topic are read, by all processes; a topic that is not named has no others.

    `reached`: the event time (milliseconds) up to which each partition of this process was read.  Wall times in
    seconds.
    """

    def __init__(self, reader: Reader, counts: Mapping[str, int], reached: Mapping[TopicPartition, int]) -> None:
        self._reader, self._counts = reader, counts
        self._known = dict(reached)
        self._snapshots: deque[tuple[float, dict[TopicPartition, int]]] = deque()
        self.looked_at = 0.0
        for topic in counts:
            reader.partitions(topic)  # the first question may wait for the answer, the later ones must not

    def known(self, tp: TopicPartition) -> int:
        """How far the clock may follow what was read of this partition."""
        return self._known[tp]

    def read(self, tp: TopicPartition, records: Sequence[Record], reached: int) -> None:
        """What was appended before the last look needs no other: a backlog is followed as it is read."""
        if records[-1].timestamp_ms < self.looked_at * 1000:
            self._known[tp] = max(self._known[tp], reached)

    def look(self, now: float, reached: Mapping[TopicPartition, int]) -> None:
        """To be asked often: takes note of how far all was read now, and of what was seen meanwhile."""
        seen_at = min((self._reader.looked_at(topic) for topic in self._counts), default=now)
        if all(len(self._reader.partitions(topic)) <= count for topic, count in self._counts.items()):
            self.looked_at = max(self.looked_at, seen_at)
        if len(self._snapshots) < SNAPSHOTS_MAX:
            self._snapshots.append((now, dict(reached)))
        while self._snapshots and self._snapshots[0][0] <= self.looked_at:
            for tp, at in self._snapshots.popleft()[1].items():
                if at > self._known[tp]:  # else `read` was further already
                    self._known[tp] = at
