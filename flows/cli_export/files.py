"""Parquet files by table and day: `decisions/day=2026-11-23/decisions-003-000000050000.parquet`.

A name says where its rows come from: topic, partition, and the first offset of the chunk.  The same chunk makes the
same bytes, so that writing it again changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flows.cli_export.tables import Row, Table
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
    fresh = path.with_name(f".{path.name}")
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), fresh, compression="zstd")
    with fresh.open("rb") as written:
        os.fsync(written.fileno())
    fresh.replace(path)
