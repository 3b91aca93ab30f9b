"""What RocksDB meets in the background, and says only when it is closed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from state.rocks import Memory, close, give_up, open_database
from state.store_errors import StoreDamaged


def test_what_is_found_damaged_in_the_background_is_told_at_the_close_with_place_and_way_out(tmp_path: Path) -> None:
    memory, number = Memory(4, 4), 0

    def written(tables: int) -> None:
        nonlocal number
        for _ in range(tables):
            number += 1
            for key in range(200):
                database[b"%d-%d" % (key, number)] = os.urandom(300)
            database.flush()

    database = open_database(tmp_path, memory, create=True)
    written(3)
    close(database, tmp_path)
    table = min(tmp_path.glob("*.sst"))
    raw = bytearray(table.read_bytes())
    raw[10:200] = bytes(190)
    table.write_bytes(raw)
    database = open_database(tmp_path, memory, create=False)
    with pytest.raises(Exception, match="Corruption"):
        written(20)  # enough for a compaction, which reads what is damaged
    with pytest.raises(StoreDamaged, match=f"{tmp_path}: RocksDB cannot read .* from a backup"):
        close(database, tmp_path)
    give_up(database)
