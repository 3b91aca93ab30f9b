"""Parquet files by table and day: `decisions/day=2026-11-23/decisions-003-000000050000.parquet`.

A name says where its rows come from: topic, partition, and the first offset of the chunk.  The same chunk makes the
same bytes, so that writing it again changes nothing.  A file that is being written lies beside the others, under a name
that is no Parquet file's, so that nobody's glob finds it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flows.cli_export.tables import TABLES, Row, Table
from state.files import sync_folder
from state.records import TopicPartition


def write_chunk(folder: Path, tp: TopicPartition, start: int, rows: Iterable[tuple[Table, Row]]) -> int:
    """Write the rows of one chunk, in their order; on disk when it returns.  How many they were."""
    by_file: dict[tuple[str, str], tuple[Table, list[Row]]] = {}
    count = 0
    for table, row in rows:
        day = f"{row['at']:%Y-%m-%d}"
        by_file.setdefault((table.name, day), (table, []))[1].append(row)
        count += 1
    for (name, day), (table, found) in sorted(by_file.items(), key=lambda each: each[0]):
        place = folder / name / f"day={day}"
        place.mkdir(parents=True, exist_ok=True)
        _write(place / f"{tp.topic}-{tp.partition:03}-{start:012}.parquet", table.schema, found)
        sync_folder(place)
    return count


def _write(path: Path, schema: pa.Schema, rows: list[Row]) -> None:
    fresh = path.with_name(f".{path.name}.part")
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), fresh, compression="zstd")
    with fresh.open("rb") as written:
        os.fsync(written.fileno())
    fresh.replace(path)


def rows_since(folder: Path, tp: TopicPartition, start: int) -> Iterator[tuple[Table, Row]]:
    """What names the rows of a partition's chunks from this offset on: of each row its table and the columns of its
    key."""
    beginning = f"{tp.topic}-{tp.partition:03}-"
    for table in TABLES:
        for path in (folder / table.name).glob(f"day=*/{beginning}*.parquet"):
            offset = path.stem.removeprefix(beginning)
            if offset.isdigit() and int(offset) >= start:
                found = pq.read_table(path, columns=list(table.key), partitioning=None)
                yield from ((table, row) for row in found.to_pylist())


def remove_unfinished(folder: Path) -> None:
    """What an export left that was killed while it wrote."""
    for table in TABLES:
        for path in (folder / table.name).glob("day=*/.*.parquet*"):  # as they were called before, too
            path.unlink()
