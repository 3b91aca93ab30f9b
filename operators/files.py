"""Replaying files of events: one sequence of lines, with the clock moved at fixed places in it.

The places do not depend on how the lines are cut into batches or on how many workers there are, so the
same files give the same decisions, byte for byte.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from gzip import BadGzipFile
from heapq import merge
from pathlib import Path
from typing import IO, cast

from operators.clock import Report
from operators.exchange import Exchange, Said
from operators.inputs import INTERNAL, Input, Meet, Progress, SubBatch
from operators.sources import Router
from state.decode import AHEAD_MAX, OLDEST, peek
from state.records import Record

TOPIC = "replay"
MARK_EVERY = 512
LINE_BYTES_MAX = 1 << 20  # the rest of a longer one is not kept; it is too large for an event anyway


class FileFault(ValueError):
    """A file cannot be read to its end; the message names it, the line, the fact and the way out."""


# One line of one file: the greatest event time up to it in its file, the number of the file, and the record.
Line = tuple[int, int, Record]
Routed = tuple[int, Record, tuple[int, ...]]  # the number of the file, the record, and whose it is


class FileSource:
    """Lines of all files, merged by the time each file has reached.  The first worker reads, the others wait.

    `play_out` is how far the clock goes on after the last event, in milliseconds.  Once a line has claimed an anonymous
    id, the shards meet by the `exchange` before and after each mark.
    """

    def __init__(
        self,
        files: Sequence[Path],
        router: Router,
        shards: int,
        *,
        started_ms: int,
        first: bool,
        batch_size: int,
        play_out: int,
        exchange: Exchange | None = None,
    ) -> None:
        self._exchange = exchange
        self._sane_to = started_ms + AHEAD_MAX
        self._router, self._shards, self._batch_size, self._play_out = router, shards, batch_size, play_out
        self._stack = ExitStack()
        self._lines = self._open(files) if first else iter(())
        self._told: dict[int, list[int]] = {n: [0] * shards for n in range(len(files))}
        self._reached = 0
        self._said = 0
        self._told_words = [0] * shards
        self.read = 0  # lines so far, for a progress bar
        self.fault: FileFault | None = None
        self._going = self._go() if first else iter(())

    def poll(self) -> Sequence[tuple[int, Input]]:
        """Ends at a fault, too, for whoever runs the dataflow to raise: raised in here it would be a panic."""
        try:
            return next(self._going)
        except FileFault as fault:
            self.fault = fault
            raise StopIteration from None

    def _go(self) -> Iterator[list[tuple[int, Input]]]:
        """What is to be said, poll by poll."""
        out: list[tuple[int, Input]] = []
        pending: list[Routed] = []
        shards_for, count, reached = self._router.shards, 0, 0
        full = self._batch_size
        for line in self._lines:
            upto, partition, record = line
            pending.append((partition, record, shards_for(TOPIC, partition, record)))
            count += 1
            if upto > reached:
                reached = upto
            is_mark, is_full = count % MARK_EVERY == 0, count >= full
            if not (is_mark or is_full):
                continue
            self._reached = reached
            if is_mark and self._router.has_seen_claims:
                self._emit(pending, out, None)
                yield from self._meet(out)
                self._mark(out := [], reached)
                yield from self._meet(out)
                out, pending, self.read = [], [], count
            else:
                self._emit(pending, out, reached if is_mark else None)
                pending = []
                if is_full:
                    self.read = count
                    yield out
                    out = []
            full = self.read + self._batch_size
        self._stack.close()
        self._reached = reached
        self._emit(pending, out, None)
        self.read = count
        yield from self._meet(out)
        for reached in (self._reached, self._reached + self._play_out + 1) if self._play_out else (self._reached,):
            self._mark(out := [], reached)
            yield from self._meet(out)

    def _meet(self, out: list[tuple[int, Input]]) -> Iterator[list[tuple[int, Input]]]:
        """Say this, and let the shards answer one another until there is nothing more to say."""
        if not self._router.has_seen_claims or self._exchange is None:
            yield out
            return
        while True:
            number = self._exchange.begin()
            yield [*out, *((shard, Meet(number)) for shard in range(self._shards))]
            while not self._exchange.is_complete():
                yield []
            said = self._exchange.said()
            if not said:
                return
            out = self._words(said)

    def _words(self, said: Sequence[Said]) -> list[tuple[int, Input]]:
        shares: dict[int, list[Record]] = {}
        for key, _, word in said:
            record = Record(self._said, key, word, 0)
            self._said += 1
            shares.setdefault(self._router.shard(INTERNAL, 0, record), []).append(record)
        out: list[tuple[int, Input]] = []
        for shard, records in shares.items():
            start = self._told_words[shard]
            end = self._told_words[shard] = records[-1].offset + 1
            out.append((shard, SubBatch(INTERNAL, 0, start, end, records, 0)))
        return out

    def last(self) -> Sequence[tuple[int, Input]]:
        return ()  # a replay that is broken off begins anew

    def _open(self, files: Sequence[Path]) -> Iterator[Line]:
        streams = [self._lines_of(number, path) for number, path in enumerate(files)]
        return streams[0] if len(streams) == 1 else merge(*streams, key=lambda line: line[:2])

    def _lines_of(self, number: int, path: Path) -> Iterator[Line]:
        opened = self._stack.enter_context(open_lines(path))
        reached = OLDEST
        for offset, raw in enumerate(lines(opened, path)):
            line = raw.strip()
            if line:
                at, customer = peek(line)
                if reached < at <= self._sane_to:
                    reached = at
                yield reached, number, Record(offset, customer, line, 0)

    def _emit(self, lines: Iterable[Routed], out: list[tuple[int, Input]], mark: int | None) -> None:
        """Each shard's lines in their order, as runs of one file."""
        runs: dict[int, list[tuple[int, list[Record]]]] = {}
        for partition, record, shards in lines:
            for shard in shards:
                mine = runs.setdefault(shard, [])
                if mine and mine[-1][0] == partition:
                    mine[-1][1].append(record)
                else:
                    mine.append((partition, [record]))
        for shard, mine in runs.items():
            for n, (partition, records) in enumerate(mine, 1):
                told, end = self._told[partition], records[-1].offset + 1
                last = mark if n == len(mine) else None
                out.append((shard, SubBatch(TOPIC, partition, told[shard], end, records, self._reached, last)))
                told[shard] = end
        if mark is not None:
            self._mark(out, mark, runs)

    def _mark(self, out: list[tuple[int, Input]], at: int, but: Container[int] = ()) -> None:
        for shard in range(self._shards):
            if shard not in but:
                out.append((shard, Progress(self._report(at), ())))

    def _report(self, at: int) -> Report:
        return Report(process=0, wall=at, busy=at, idle=None, furthest=at, complete=True, settled=True)


def open_lines(path: Path) -> IO[bytes]:
    """A file of JSON lines, plain or .gz."""
    unpack = gzip.open if path.suffix == ".gz" else open
    return cast("IO[bytes]", unpack(path, "rb"))


def check_file(path: Path) -> None:
    """Raise `FileFault` where a .gz file is none from its beginning; further on only who reads all of it can know."""
    if path.suffix == ".gz" and path.is_file():  # what is no file, as a pipe, can be read but once
        with open_lines(path) as opened:
            next(lines(opened, path), None)


def lines(opened: IO[bytes], path: Path) -> Iterator[bytes]:
    """The lines of a file, of a giant one only its beginning.  Raises `FileFault`."""
    number = 0
    try:
        for line in iter(partial(opened.readline, LINE_BYTES_MAX), b""):
            number += 1
            yield line
            rest = line
            while len(rest) == LINE_BYTES_MAX and not rest.endswith(b"\n"):
                rest = opened.readline(LINE_BYTES_MAX)
    except (EOFError, BadGzipFile, zlib.error):
        raise FileFault(
            f"{path}, after line {number}: the compressed data is cut off or damaged. Get the file again."
        ) from None
    except OSError as error:
        raise FileFault(f"{path}, after line {number}: it cannot be read ({error.strerror or error}).") from None
