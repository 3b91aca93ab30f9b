"""Reading a backlog so that the catalogue's words come where they were said between what customers did.

On the replay clock nobody waits for an answer, and all that is decided should be what it would have been then: who
looked at a product only after its price had fallen did not wait for that.  So what customers did is read no further
than the catalogue has been, and a word of it not before what they did until then.  That holds for what one process
reads.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from operators.inputs import OURS
from state.catalogue import CATALOGUE
from state.decode import peek_time
from state.passages import NEVER
from state.records import Fetched, Reader, Record, TopicPartition

WORDS_A_POLL = 256
KEPT_MAX = 16_000  # records of a partition; with more it is not read for a while
SILENT_SECONDS = 5.0  # a partition that nobody can read holds up the clock, not the reading


class InTime:
    """A reader that gives records of customers and of the catalogue in the order of their times."""

    def __init__(self, reader: Reader, wall: Callable[[], float] = time.time) -> None:
        self._reader, self._wall = reader, wall
        self._partitions: dict[TopicPartition, _Partition] = {}
        self._full: frozenset[TopicPartition] = frozenset()

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """What was read and not given yet is kept of those that go on where they were."""
        known, now = self._partitions, self._wall()
        self._partitions = {
            tp: known[tp] if tp in known and known[tp].given_to == offset else _Partition(tp, offset, now)
            for tp, offset in positions.items()
        }
        self._full = self._without_room()
        self._assign()

    def poll(self, records_max: int) -> Sequence[Fetched]:
        out: list[Fetched] = []
        inputs = [each for each in self._partitions.values() if each.tp.topic not in OURS]
        catalogue = [each for each in inputs if each.tp.topic == CATALOGUE]
        others = [each for each in inputs if each.tp.topic != CATALOGUE]
        found = self._reader.poll(records_max)
        for fetched in sorted(found, key=lambda each: each.topic != CATALOGUE):
            partition = self._partitions[TopicPartition(fetched.topic, fetched.partition)]
            if fetched.topic in OURS or (partition not in catalogue and not any(map(_Partition.says_more, inputs))):
                partition.pass_on(fetched, self._wall())
                out.append(fetched)
            else:
                partition.keep(fetched, self._wall())
        self._give(catalogue, others, out)
        full = self._without_room()
        if full != self._full:
            self._full = full
            self._assign()
        return out

    def _give(self, catalogue: Sequence[_Partition], others: Sequence[_Partition], out: list[Fetched]) -> None:
        silent = self._wall() - SILENT_SECONDS
        for _ in range(WORDS_A_POLL):
            told_to = min((each.known_to(silent) for each in catalogue), default=NEVER)
            first = min((each for each in catalogue if each.kept), key=_Partition.head, default=None)
            word_at = first.head() if first is not None else NEVER
            for each in others:
                out += each.give(min(word_at - 1, told_to))
            if first is None or word_at > told_to or any(each.known_to(silent) < word_at for each in others):
                break
            out += first.give(word_at, most=1)
        for each in (*catalogue, *others):
            out += each.say()

    def _without_room(self) -> frozenset[TopicPartition]:
        """Those that are not read for now: what is kept of them has to go first."""
        return frozenset(
            tp for tp, each in self._partitions.items() if each.is_full or (tp in self._full and each.kept)
        )

    def _assign(self) -> None:
        self._reader.assign({tp: each.read_to for tp, each in self._partitions.items() if tp not in self._full})


class _Partition:
    """What was read of one partition and is kept: records, each with the greatest time up to it."""

    def __init__(self, tp: TopicPartition, offset: int, now: float) -> None:
        self.tp = tp
        self.kept: deque[tuple[int, Record]] = deque()
        self.read_to = self.given_to = offset
        self._reached = 0
        self._idle_at: float | None = None
        self._heard_at = now
        self._is_said = True

    @property
    def is_full(self) -> bool:
        return len(self.kept) > KEPT_MAX

    def says_more(self) -> bool:
        """Whether there is something that others may have to wait for."""
        return bool(self.kept) or (self.tp.topic == CATALOGUE and self._idle_at is None)

    def pass_on(self, fetched: Fetched, now: float) -> None:
        if fetched.records and fetched.topic not in OURS:
            self._reached = max(self._reached, peek_time(fetched.records[-1].value) or 0)
        self.read_to = self.given_to = fetched.end
        self._idle_at, self._heard_at = fetched.idle_at, now

    def keep(self, fetched: Fetched, now: float) -> None:
        for record in fetched.records:
            self._reached = max(self._reached, peek_time(record.value) or 0)
            self.kept.append((self._reached, record))
        self.read_to, self._idle_at, self._heard_at, self._is_said = fetched.end, fetched.idle_at, now, False

    def head(self) -> int:
        return self.kept[0][0]

    def known_to(self, silent: float) -> int:
        """Nothing of an earlier time than this is still to be read here, as far as one can know."""
        if self.kept or self._idle_at is not None or self._heard_at < silent:
            return NEVER
        return self._reached

    def give(self, to: int, most: int = NEVER) -> Iterable[Fetched]:
        """What is kept up to this time."""
        kept, records = self.kept, list[Record]()
        while kept and kept[0][0] <= to and len(records) < most:
            records.append(kept.popleft()[1])
        if records:
            start, self.given_to = self.given_to, records[-1].offset + 1 if kept else self.read_to
            self._is_said = True
            yield self._fetched(start, records)

    def say(self) -> Iterable[Fetched]:
        """That there is nothing more for now, or that what there is has to wait."""
        if not self._is_said:
            self._is_said = True
            start, self.given_to = self.given_to, self.given_to if self.kept else self.read_to
            yield self._fetched(start, ())

    def _fetched(self, start: int, records: Sequence[Record]) -> Fetched:
        idle_at = None if self.kept else self._idle_at
        return Fetched(self.tp.topic, self.tp.partition, start, self.given_to, records, idle_at)
