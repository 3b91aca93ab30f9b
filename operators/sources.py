"""Reading the logs for one worker: raw records in, one sub-batch per shard out, and reports of progress.

Nothing is decoded here but ids of records without a key, and one time stamp per fetch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from operators.clock import Report
from operators.drip import Drip
from operators.frontier import Frontier
from operators.in_time import InTime
from operators.inputs import OURS, Input, Progress, SubBatch
from operators.pressure import Pressure
from state.catalogue import CATALOGUE, TOLD_TO_ALL, is_told_to_all
from state.claims import claimed
from state.decode import AHEAD_MAX, peek_customer, peek_time
from state.ids import Ids, shard_of
from state.records import Fetched, Reader, Record, TopicPartition

NO_CLAIMS = OURS | {CATALOGUE}
RECORDS_MAX = 8_000  # a poll; a shard writes once for all that it is given, so a backlog is worked off in large bites
REPORT_SECONDS = 0.1
SLICES = 8  # the shards are told one slice after the other, so that no event waits behind all of them
RANGES_REPORTS = 5  # with so many reports comes one of how far was read


class Router:
    """Which shard a record belongs to, by the keyed hash of its customer."""

    def __init__(self, ids: Ids, shards: int) -> None:
        self._ids = ids
        self._shards = shards
        self._all = tuple(range(shards))
        self._known: dict[bytes, int] = {}
        self.has_seen_claims = False

    def shard(self, topic: str, partition: int, record: Record) -> int:
        key = None if topic == CATALOGUE else record.key
        key = key or peek_customer(record.value)
        if key is None:
            # Nobody's: it is on its way to the dead letters, and always by the same shard.
            key = f"{topic}-{partition}-{record.offset}".encode()
        shard = self._known.get(key)
        if shard is None:
            if len(self._known) > 100_000:
                self._known.clear()
            shard = self._known[key] = shard_of(self._ids.customer(key), self._shards)
        return shard

    def split(self, topic: str, partition: int, records: Iterable[Record]) -> dict[int, list[Record]]:
        """Each shard's share, in order; one that claims an anonymous id is in the share of that one, too."""
        shares: dict[int, list[Record]] = {}
        for record in records:
            for shard in self.shards(topic, partition, record):
                shares.setdefault(shard, []).append(record)
        return shares

    def shards(self, topic: str, partition: int, record: Record) -> tuple[int, ...]:
        if topic in TOLD_TO_ALL and is_told_to_all(record.value):
            return self._all
        one = self.shard(topic, partition, record)
        anonymous = "" if topic in NO_CLAIMS else claimed(record.value, record.key)
        if not anonymous:
            return (one,)
        self.has_seen_claims = True
        other = shard_of(self._ids.customer(anonymous.encode()), self._shards)
        return (one,) if one == other else (one, other)


class LogSource:
    """One worker's share of the topic partitions.

    `start`: where each partition begins, what it had reached, and where it ended when the worker started.
    `stalled_after`: seconds without a word of a partition after which the clock goes on without it; None: never.
    `counts`: how many partitions of each input topic all workers read; of a topic that is not named none is added.
    `may_read`: whether the shards have been told all that was there for them; no event is read before.
    `poll` never blocks.  Times in seconds (`wall`) and milliseconds (all else).
    """

    def __init__(
        self,
        reader: Reader,
        router: Router,
        shards: int,
        process: int,
        start: Mapping[TopicPartition, int],
        reached: Mapping[TopicPartition, int],
        ends: Mapping[TopicPartition, int],
        wall: Callable[[], float],
        clock: Literal["live", "replay"],
        *,
        pressure: Pressure,
        stalled_after: float | None = None,
        counts: Mapping[str, int] | None = None,
        may_read: Callable[[], bool] | None = None,
    ) -> None:
        self._reader = Drip(reader) if clock == "live" else InTime(reader, wall)
        self._router = router
        self._shards = shards
        self._process = process
        self._wall = wall
        self._live = clock == "live"
        self._pressure = pressure
        self._stalled_after = stalled_after
        self._positions = dict(start)
        self._inputs = [tp for tp in start if tp.topic not in OURS]
        self._reached = {tp: reached.get(tp, 0) for tp in start}
        self._frontier = Frontier(reader, counts or {}, self._reached)
        self._results_to = {tp: ends[tp] for tp in start if tp.topic in OURS}
        self._may_read = may_read
        self._idle: dict[TopicPartition, float | None] = {}
        self._heard: dict[TopicPartition, float] = dict.fromkeys(start, wall())
        self._paused = frozenset(self._inputs) if may_read is not None else frozenset[TopicPartition]()
        self._told = {tp: [offset] * shards for tp, offset in start.items()}
        self._report_at = 0.0
        self._reports = 0
        self._assign()

    def poll(self) -> list[tuple[int, Input]]:
        """(shard, input) pairs; empty when there is nothing to say."""
        out: list[tuple[int, Input]] = []
        for fetched in self._reader.poll(RECORDS_MAX):
            self._take(fetched, out)
        now = self._wall()
        if now >= self._report_at or now < self._report_at - 2 * REPORT_SECONDS:
            self._tell_slices(now, out)
        return out

    def last(self) -> list[tuple[int, Input]]:
        """How far all was read, for the shards that had none of it: where they are, the next start goes on."""
        out: list[tuple[int, Input]] = []
        self._tell(range(self._shards), self._report(self._wall()), out, ranges=True)
        return out

    def positions(self) -> dict[TopicPartition, int]:
        return dict(self._positions)

    def paused(self) -> int:
        """How many partitions are not read for now, since the shards hold back as much as they may."""
        return len(self._paused)

    def stalled(self) -> list[TopicPartition]:
        """Partitions that nobody could read for so long that the clock goes on without them."""
        return self._stalled(self._wall())

    def _take(self, fetched: Fetched, out: list[tuple[int, Input]]) -> None:
        topic, partition, _, end, records, idle_at = fetched
        tp = TopicPartition(topic, partition)
        if tp in self._paused:
            return
        self._idle[tp] = idle_at
        self._heard[tp] = self._wall()
        if end <= self._positions[tp]:
            return
        self._positions[tp] = end
        reached = self._reached[tp]
        if records and topic not in OURS:
            # The time of the last one is a lower bound of the greatest, which is all the clock needs.
            reached = max(reached, self._time(records))
            self._reached[tp] = reached
            self._frontier.read(tp, records, reached)
        told = self._told[tp]
        for shard, share in self._router.split(topic, partition, records).items():
            out.append((shard, SubBatch(topic, partition, told[shard], end, share, reached)))
            told[shard] = end

    def _time(self, records: Sequence[Record]) -> int:
        times = (peek_time(record.value) for record in reversed(records[-3:]))
        now = round(self._wall() * 1000)
        at = next((time for time in times if time and time <= now + AHEAD_MAX), 0)
        return min(at, now) if self._live else at

    def _pause(self, now: float) -> None:
        """Leave out what is ahead of the clock while the shards hold back as much as they may."""
        if self._may_read is not None and self._is_settled() and self._may_read():
            self._may_read = None
        clock = self._pressure.clock() if self._pressure.is_high() else None
        ahead = frozenset(tp for tp in self._inputs if clock is not None and self._reached[tp] > clock)
        if self._may_read is not None:
            ahead = frozenset(self._inputs)
        if ahead == self._paused:
            return
        for tp in ahead - self._paused:
            self._idle[tp] = None  # there may be more to read, and its time stands still
        for tp in self._paused - ahead:
            self._heard[tp] = now
        self._paused = ahead
        self._assign()

    def _assign(self) -> None:
        self._reader.assign({tp: offset for tp, offset in self._positions.items() if tp not in self._paused})

    def _is_settled(self) -> bool:
        return all(self._positions[tp] >= end for tp, end in self._results_to.items())

    def _stalled(self, now: float) -> list[TopicPartition]:
        after = self._stalled_after
        if after is None:
            return []
        return [tp for tp in self._inputs if now - self._heard[tp] > after and tp not in self._paused]

    def _tell_slices(self, now: float, out: list[tuple[int, Input]]) -> None:
        """Tell those slices of the shards whose turn it is; all of them after a pause."""
        step = REPORT_SECONDS / SLICES
        due = min(SLICES, 1 + int(max(0.0, now - self._report_at) / step))
        self._report_at = now + step
        self._pause(now)
        report = self._report(now)
        for _ in range(due):
            round_, number = divmod(self._reports, SLICES)
            self._reports += 1
            for shard in range(number, self._shards, SLICES):
                ranges = (round_ + shard // SLICES) % RANGES_REPORTS == 0
                self._tell((shard,), report, out, ranges=ranges)

    def _tell(self, shards: Iterable[int], report: Report, out: list[tuple[int, Input]], *, ranges: bool) -> None:
        for shard in shards:
            read: list[tuple[str, int, int, int, int]] = []
            for tp, position in self._positions.items() if ranges else ():
                told = self._told[tp]
                if told[shard] != position:
                    read.append((tp.topic, tp.partition, told[shard], position, self._reached[tp]))
                    told[shard] = position
            out.append((shard, Progress(report, read)))

    def _report(self, now: float) -> Report:
        self._frontier.look(now, self._reached)
        looked_at = self._frontier.looked_at
        stalled = self._stalled(now)
        blind = self._stalled_after is not None and now - looked_at > self._stalled_after
        inputs = [tp for tp in self._inputs if tp not in stalled] if stalled else self._inputs
        far = self._reached.__getitem__ if blind else self._frontier.known
        busy = [far(tp) for tp in inputs if tp in self._idle and self._idle[tp] is None]
        idle = [at if blind else min(at, looked_at) for tp in inputs if (at := self._idle.get(tp)) is not None]
        if stalled and not inputs:
            idle = [now]
        return Report(
            process=self._process,
            wall=round(now * 1000),
            busy=min(busy, default=None),
            idle=int(min(idle) * 1000) if idle else None,
            furthest=max((self._reached[tp] for tp in self._inputs), default=0),
            complete=all(tp in self._idle for tp in inputs) and (blind or looked_at > 0),
            settled=self._is_settled(),
            stalled=bool(stalled) or blind,
        )
