"""Reading the catalogue a few words at a time.

Every shard hears every word of it: a whole catalogue told at once, read as fast as it comes, would hold up everybody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from state.catalogue import CATALOGUE
from state.records import Fetched, Reader, Record, TopicPartition

WORDS_A_POLL = 4


class Drip:
    """A reader whose catalogue comes in drops.  What is held back is at most a few fetches."""

    def __init__(self, reader: Reader, words: int = WORDS_A_POLL) -> None:
        self._reader, self._words = reader, words
        self._positions: dict[TopicPartition, int] = {}  # where each partition is read on
        self._later: dict[TopicPartition, deque[Fetched]] = {}

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self._later.clear()
        self._positions = dict(positions)
        self._reader.assign(positions)

    def poll(self, records_max: int) -> Sequence[Fetched]:
        held_back = set(self._later)
        out: list[Fetched] = []
        for fetched in self._reader.poll(records_max):
            tp = TopicPartition(fetched.topic, fetched.partition)
            self._positions[tp] = fetched.end
            if tp in self._later or (tp.topic == CATALOGUE and len(fetched.records) > self._words):
                self._later.setdefault(tp, deque()).append(fetched)
            else:
                out.append(fetched)
        for tp in list(self._later):
            out.append(self._drop(tp))
        if held_back != set(self._later):
            # Not read on before what was read has been told.
            self._reader.assign({tp: at for tp, at in self._positions.items() if tp not in self._later})
        return out

    def _drop(self, tp: TopicPartition) -> Fetched:
        later = self._later[tp]
        first = later.popleft()
        now, rest = first.records[: self._words], first.records[self._words :]
        if rest:
            later.appendleft(first._replace(start=_after(now), records=rest))
            first = first._replace(end=_after(now), records=now)
        if not later:
            del self._later[tp]
            return first
        return first._replace(idle_at=None)


def _after(records: Sequence[Record]) -> int:
    return records[-1].offset + 1
