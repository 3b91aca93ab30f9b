"""What the supervisor reads before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.supervisor_start import read_origins
from state.records import TopicPartition
from state.store_errors import StoreDamaged


def test_where_partitions_began_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_origins(tmp_path / "origins.json") == {}
    (tmp_path / "origins.json").write_text('[["clickstream", 3, 17]]')
    assert read_origins(tmp_path / "origins.json") == {TopicPartition("clickstream", 3): 17}


@pytest.mark.parametrize("found", [b"", b"\0\0\0", b'[["clickstream", 3', b"[3]", b"{}3", b"\xff\xfe"])
def test_damage_is_told_with_the_file_and_the_way_out(tmp_path: Path, found: bytes) -> None:
    path = tmp_path / "origins.json"
    path.write_bytes(found)
    with pytest.raises(StoreDamaged, match="from a backup") as told:
        read_origins(path)
    assert str(path) in str(told.value)
