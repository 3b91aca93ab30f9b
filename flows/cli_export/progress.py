"""How far an export has come: what each file's rows were, and up to which offset they are on disk.

Kept in the export's own folder, in one RocksDB: a chunk's offset and the names of its rows are one write, made when its
files are there.  So whoever is killed in between writes the same files again, and none of their rows twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from rocksdict import WriteBatch

from state.layout import partition
from state.records import TopicPartition
from state.rocks import Memory, get, open_database, scan, write
from state.store_errors import StoreRefused

FOLDER = ".progress"
_SOURCE, _PLANNED, _DONE, _ROW = b"S", b"P", b"D", b"R"


class Progress:
    """Raises `StoreBusy` where another export writes here, `StoreRefused` where it is another deployment's."""

    def __init__(self, folder: Path, deployment: str) -> None:
        self._path = folder / FOLDER
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._database = open_database(self._path, Memory(32, 16), create=True)
        found = get(self._database, _SOURCE, self._path)
        if found is not None and found.decode() != deployment:
            self._database.close()
            raise StoreRefused(f"{folder}: this is the export of another deployment. Name a folder of its own.")
        self._database[_SOURCE] = deployment.encode()

    def planned(self) -> dict[TopicPartition, int]:
        """Up to where an earlier export was to go; empty where it went all the way."""
        return {_tp(key): int.from_bytes(end, "big") for key, end in self._scan(_PLANNED)}

    def plan(self, ends: Mapping[TopicPartition, int]) -> None:
        """Where this export is to end: written down first, so that the chunks of one that is killed stay the same."""
        batch = WriteBatch(raw_mode=True)
        for key, _ in self._scan(_PLANNED):
            batch.delete(key)
        for tp, end in ends.items():
            batch.put(_PLANNED + partition(tp), end.to_bytes(8, "big"))
        self._write(batch)

    def done(self) -> dict[TopicPartition, int]:
        return {_tp(key): int.from_bytes(offset, "big") for key, offset in self._scan(_DONE)}

    def has(self, row: bytes) -> bool:
        """Whether a row of this name is in an earlier chunk."""
        return get(self._database, _ROW + row, self._path) is not None

    def commit(self, tp: TopicPartition, offset: int, rows: Iterable[bytes]) -> None:
        """All before this offset is in files that are on disk."""
        batch = WriteBatch(raw_mode=True)
        for row in rows:
            batch.put(_ROW + row, b"")
        batch.put(_DONE + partition(tp), offset.to_bytes(8, "big"))
        self._write(batch)

    def close(self) -> None:
        self._database.close()

    def _scan(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        return list(scan(self._database, prefix, prefix, self._path))

    def _write(self, batch: WriteBatch) -> None:
        write(self._database, batch, self._path)
        self._database.flush_wal(True)


def _tp(key: bytes) -> TopicPartition:
    return TopicPartition(key[1:-5].decode(), int.from_bytes(key[-4:], "big"))
