"""Opening RocksDB the way our stores need it: many small databases, one bounded cache, nothing implied."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    BottommostLevelCompaction,
    Cache,
    CompactOptions,
    DbClosedError,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteBufferManager,
)

from state.store_errors import StoreBusy, StoreDamaged, StoreError, StoreFull, StoreRefused

_WRITE_BUFFER = 4 << 20
_ARENA = 64 << 10


class Memory:
    """What all databases of a process share, so that memory is bounded however many there are."""

    def __init__(self, cache_mib: int = 64, write_buffers_mib: int = 96) -> None:
        self.cache = Cache(cache_mib << 20)
        self.write_buffers = WriteBufferManager(write_buffers_mib << 20, allow_stall=False)


def options(memory: Memory, *, create: bool) -> Options:
    made = Options(raw_mode=True)
    made.create_if_missing(create)
    made.set_write_buffer_manager(memory.write_buffers)
    made.set_write_buffer_size(_WRITE_BUFFER)
    made.set_arena_block_size(_ARENA)
    made.set_max_write_buffer_number(3)
    made.set_max_total_wal_size(32 << 20)
    made.set_max_open_files(48)
    made.set_max_background_jobs(2)
    made.set_max_file_opening_threads(1)  # 16 are started and ended each time that a reader catches up, otherwise
    # A write that is slowed down holds the GIL, and with it every other shard.
    made.set_level_zero_slowdown_writes_trigger(40)
    made.set_level_zero_stop_writes_trigger(80)
    made.set_keep_log_file_num(2)
    made.set_max_log_file_size(1 << 20)
    made.set_stats_dump_period_sec(0)
    made.set_stats_persist_period_sec(0)
    made.set_skip_stats_update_on_db_open(True)
    made.set_compression_type(DBCompressionType.none())  # what is encrypted does not get smaller
    made.set_wal_recovery_mode(DBRecoveryMode.tolerate_corrupted_tail_records())
    table = BlockBasedOptions()
    table.set_block_cache(memory.cache)
    table.set_bloom_filter(10, False)
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    made.set_block_based_table_factory(table)
    return made


def open_database(path: Path, memory: Memory, *, create: bool, secondary: Path | None = None) -> Rdict:
    """Raises `StoreBusy` when another process has it, `StoreFull` without room, `StoreDamaged` when unreadable."""
    chosen = options(memory, create=create)
    access = AccessType.read_write()
    if secondary is not None:
        # The writer deletes files under its readers; those that are open stay readable.
        chosen.set_max_open_files(-1)
        access = AccessType.secondary(str(secondary))
    try:
        return Rdict(str(path), chosen, access_type=access)
    except Exception as error:
        raise told(path, error) from error


def told(path: Path, error: Exception) -> Exception:
    """What RocksDB said, as one of our errors."""
    if isinstance(error, StoreError | DbClosedError):
        return error
    text = str(error)
    if "No space left" in text:
        return StoreFull(f"{path}: the disk is full. Make room; the store then goes on by itself, and nothing is lost.")
    if "Too many open files" in text:
        return StoreRefused(f"{path}: too many open files. Raise the limit (`ulimit -n 8192`) and start again.")
    if "Permission denied" in text:
        return StoreRefused(f"{path}: not ours to read and write. Give the folder to the user that runs Impuls.")
    if "lock" in text and "LOCK" in text:
        return StoreBusy(
            f"{path}: another process works on this store. Stop it first; `impuls status` names who runs here."
        )
    return StoreDamaged(
        f"{path}: RocksDB cannot read this store ({text[:200]}). Put the folder back from a backup: the shard then "
        "reads from the log what it misses since."
    )


def get(database: Rdict, key: bytes, path: Path) -> bytes | None:
    """Raises `StoreDamaged`."""
    try:
        found: bytes | None = database.get(key)
    except Exception as error:
        raise told(path, error) from error
    return found


def write(database: Rdict, batch: WriteBatch, path: Path) -> None:
    """All or nothing.  Raises `StoreFull`, `StoreDamaged`."""
    try:
        database.write(batch)
    except Exception as error:
        raise told(path, error) from error


def catch_up(database: Rdict, path: Path) -> None:
    """Reading beside the writer: see what it has written since.  Raises `StoreDamaged`."""
    try:
        database.try_catch_up_with_primary()
    except Exception as error:
        raise told(path, error) from error


class Opening:
    """What was there of a database's files before it was opened to be read beside its writer.

    Where the writer has flushed what it had in its log, a reader that had not seen all of it there reads from its own
    memory what is older than what is in the new table.  RocksDB puts that right once more is written, but not where the
    writer opened the database anew, and not as long as nothing is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._look() or _GONE

    @property
    def is_outdated(self) -> bool:
        """Whether to open it anew: it is another one, was opened anew, or flushed and not written to since."""
        seen = self._look()
        if seen is None:
            return False
        was, empty = seen
        return was != self._seen[0] or (bool(empty) and empty != self._seen[1])

    def _look(self) -> tuple[bytes, str] | None:
        """What the writer opened, and its log where nothing is in it; None where that cannot be told just now."""
        try:
            logs = {entry.name: entry for entry in os.scandir(self._path) if entry.name.endswith(".log")}
            newest = max(logs, key=lambda name: (len(name), name), default="")
            empty = newest if newest and not logs[newest].stat().st_size else ""
            return (self._path / "IDENTITY").read_bytes() + (self._path / "CURRENT").read_bytes(), empty
        except FileNotFoundError:
            return _GONE
        except OSError:
            return None


_GONE = (b"", "")


def close(database: Rdict, path: Path) -> None:
    """What RocksDB met in the background it may say only now.  Raises `StoreDamaged`, `StoreFull`."""
    try:
        database.close()
    except Exception as error:
        raise told(path, error) from error


def give_up(database: Rdict) -> None:
    """Close what could not be opened well, and leave the word to who says why."""
    with suppress(Exception):
        database.close()


def scan(database: Rdict, start: bytes, prefix: bytes, path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Rows from `start` on while keys begin with `prefix`.  Raises `StoreDamaged` instead of ending early."""
    bounds = ReadOptions()
    bounds.set_iterate_upper_bound(after_all(prefix))  # else deleted rows beyond it are walked through, too
    rows: Any = database.iter(bounds)
    rows.seek(start)
    while rows.valid():
        yield rows.key(), rows.value()
        rows.next()
    _check(rows, path)


def last(database: Rdict, prefix: bytes, path: Path) -> bytes | None:
    """The greatest key that begins with this.  Raises `StoreDamaged`."""
    rows: Any = database.iter()
    rows.seek_for_prev(after_all(prefix))
    if rows.valid():
        key: bytes = rows.key()
        return key if key.startswith(prefix) else None
    _check(rows, path)
    return None


def after_all(prefix: bytes) -> bytes:
    """The first key behind all that begin with this."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes((kept[-1] + 1,)) if kept else b"\xff" * 64


def compact_hard(database: Rdict, ranges: Iterable[tuple[bytes, bytes]], path: Path) -> None:
    """Rewrite every file with keys in these ranges, so that what was deleted there is in no file any more."""
    forced = CompactOptions()
    forced.set_bottommost_level_compaction(BottommostLevelCompaction.force())
    try:
        database.flush()
        for start, end in ranges:
            database.compact_range(start, end, forced)
    except Exception as error:
        raise told(path, error) from error


def _check(rows: Any, path: Path) -> None:
    try:
        rows.status()
    except Exception as error:
        raise told(path, error) from error
