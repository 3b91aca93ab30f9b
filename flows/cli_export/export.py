"""Reading topics in chunks and writing them down, each row exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path

from flows.cli_export.files import remove_unfinished, rows_since, write_chunk
from flows.cli_export.progress import Progress
from flows.cli_export.tables import Reading, Row, Table
from state.records import LogError, Reader, Record, TopicPartition

CHUNK = 50_000
"""Offsets; chunks end at multiples of it, so that a chunk is the same whenever it is written."""


class Export:
    """`readings`: how the records of each topic become rows."""

    def __init__(self, folder: Path, progress: Progress, reader: Reader, readings: Mapping[str, Reading]) -> None:
        self._folder, self._progress, self._reader, self._readings = folder, progress, reader, readings

    def run(self, told: Callable[[int, int], None], *, skip_lost: bool = False) -> int:
        """Write all there is up to now; how many rows.  Finishes an export that was broken off, first."""
        remove_unfinished(self._folder)
        rows = 0
        planned = self._progress.planned()
        if planned:
            rows += self._up_to(planned, told, skip_lost)
        partitions = [
            TopicPartition(topic, number) for topic in self._readings for number in self._reader.partitions(topic)
        ]
        ends = self._reader.ends(partitions)
        self._progress.plan(ends)
        rows += self._up_to(ends, told, skip_lost)
        self._progress.plan({})
        return rows

    def _up_to(self, ends: Mapping[TopicPartition, int], told: Callable[[int, int], None], skip_lost: bool) -> int:
        starts = self._starts(ends, skip_lost)
        self._adopt(starts)
        total, before, rows = sum(ends[tp] - starts[tp] for tp in ends), 0, 0
        for tp in sorted(ends):
            for start, end in _chunks(starts[tp], ends[tp]):
                rows += self._write(tp, start, end)
                before += end - start
                told(before, total)
        return rows

    def _starts(self, ends: Mapping[TopicPartition, int], skip_lost: bool) -> dict[TopicPartition, int]:
        done, beginnings = self._progress.done(), self._reader.beginnings(list(ends))
        lost = {tp: beginnings[tp] - done[tp] for tp in ends if tp in done and beginnings[tp] > done[tp]}
        if lost and not skip_lost:
            tp, count = next(iter(lost.items()))
            raise LogError(
                f"{tp.topic}/{tp.partition}: {count} records after the last export are no longer in the log: retention "
                "deleted them first. Export more often, or keep more; `--skip-lost` goes on with what there is."
            )
        return {tp: min(ends[tp], max(beginnings[tp], done.get(tp, 0))) for tp in ends}

    def _adopt(self, starts: Mapping[TopicPartition, int]) -> None:
        """Commit what is in the files of a chunk that was not, where retention took its beginning since: it will not be
        written again, and the chunk that begins later has another name and only the other rows."""
        done = self._progress.done()
        for tp, start in starts.items():
            if done.get(tp, 0) < start:
                names = [_name(table, row) for table, row in rows_since(self._folder, tp, done.get(tp, 0))]
                if names:
                    self._progress.commit(tp, start, names)

    def _write(self, tp: TopicPartition, start: int, end: int) -> int:
        names: dict[bytes, None] = {}
        rows = self._rows(tp, start, end, names)
        count = write_chunk(self._folder, tp, start, rows)
        self._progress.commit(tp, end, names)
        return count

    def _rows(self, tp: TopicPartition, start: int, end: int, names: dict[bytes, None]) -> Iterator[tuple[Table, Row]]:
        """The chunk's rows that are in no chunk before, with their place in the log."""
        read = self._readings[tp.topic]
        for record in self._records(tp, start, end):
            found = read(record, tp.partition)
            if found is None:
                continue
            table, row = found
            name = _name(table, row)
            if name not in names and not self._progress.has(name):
                names[name] = None
                yield table, {**row, "log_partition": tp.partition, "log_offset": record.offset}

    def _records(self, tp: TopicPartition, start: int, end: int) -> Iterator[Record]:
        self._reader.assign({tp: start})
        reached = start
        while reached < end:
            for fetched in self._reader.poll(end - reached):
                reached = fetched.end
                for record in fetched.records:
                    if record.offset < end:
                        yield record
            if reached < end:
                self._reader.wait(0.05)


def _chunks(start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        until = min(end, (start // CHUNK + 1) * CHUNK)
        yield start, until
        start = until


def _name(table: Table, row: Row) -> bytes:
    digest = blake2b(table.name.encode(), digest_size=16)
    for column in table.key:
        digest.update(b"\0" + str(row[column]).encode())
    return digest.digest()
