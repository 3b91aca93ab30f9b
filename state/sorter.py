"""Rows put in order of their owner and time, however many there are: a RocksDB of its own, gone when it is closed.

A row added twice (the same owner, time and id) is there once, so at-least-once topics need no memory to be read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from rocksdict import Rdict, WriteBatch, WriteOptions

from state.rocks import Memory, options

BATCH = 2_000
MEMORY_MIB = 64


class Sorter:
    """Memory is bounded, disk is not: in the system's folder for temporary files, unless another is given."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="impuls-", dir=folder)
        chosen = options(Memory(8, MEMORY_MIB), create=True)
        chosen.set_write_buffer_size(MEMORY_MIB << 18)
        self._database = Rdict(str(Path(self._folder.name) / "rows"), chosen)
        self._unlogged = WriteOptions()
        self._unlogged.disable_wal = True  # type: ignore[method-assign,assignment] # its stub calls it a method
        self._batch = WriteBatch(raw_mode=True)

    def add(self, owner: bytes, at: int, id: bytes, row: bytes) -> None:
        """`owner` without zero bytes; `at` in milliseconds, not before 1970."""
        self._batch.put(owner + b"\0" + at.to_bytes(8, "big") + id, row)
        if self._batch.len() >= BATCH:
            self._write()

    def owners(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """Each owner with all of hers, in order of time and then of id."""
        self._write()
        for owner, rows in groupby(self._rows(), key=lambda row: row[0]):
            yield owner, [row for _, row in rows]

    def close(self) -> None:
        self._database.close()
        self._folder.cleanup()

    def __enter__(self) -> Sorter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self) -> None:
        if self._batch.len():
            self._database.write(self._batch, self._unlogged)
            self._batch = WriteBatch(raw_mode=True)

    def _rows(self) -> Iterator[tuple[bytes, bytes]]:
        rows: Any = self._database.iter()
        rows.seek_to_first()
        while rows.valid():
            yield rows.key().partition(b"\0")[0], rows.value()
            rows.next()
        rows.status()
