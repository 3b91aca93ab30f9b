"""Opening RocksDB the way our stores need it: many small databases, one bounded cache, nothing implied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    WriteBufferManager,
)

from state.store_errors import StoreBusy, StoreDamaged, StoreError

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
    """Raises `StoreBusy` when another process has it, `StoreDamaged` when RocksDB cannot read it."""
    access = AccessType.read_write() if secondary is None else AccessType.secondary(str(secondary))
    try:
        return Rdict(str(path), options(memory, create=create), access_type=access)
    except Exception as error:
        raise told(path, error) from error


def told(path: Path, error: Exception) -> StoreError:
    text = str(error)
    if "lock" in text.lower() and "LOCK" in text:
        return StoreBusy(
            f"{path}: another process works on this store. Stop it first; `impuls status` names who runs here."
        )
    return StoreDamaged(
        f"{path}: RocksDB cannot open this store ({text[:200]}). Put the folder back from a backup: the shard then reads "
        "from the log what it misses since."
    )


def scan(database: Rdict, start: bytes, prefix: bytes, path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Rows from `start` on while keys begin with `prefix`.  Raises `StoreDamaged` instead of ending early."""
    rows: Any = database.iter()
    rows.seek(start)
    while rows.valid():
        key: bytes = rows.key()
        if not key.startswith(prefix):
            return
        yield key, rows.value()
        rows.next()
    try:
        rows.status()
    except Exception as error:
        raise told(path, error) from error
