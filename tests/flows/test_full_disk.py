"""A disk that takes nothing for a while silences a process; it does not end it."""

from __future__ import annotations

import os
from pathlib import Path

from flows.worker_process import Beat


def test_a_beat_that_the_disk_does_not_take_is_told_with_the_next(tmp_path: Path) -> None:
    beat = Beat(tmp_path, "worker-0")
    beat.tell({"shards": 1})
    in_the_way = tmp_path / "run" / f".worker-0.json.{os.getpid()}"
    in_the_way.mkdir()  # no file can be written there, as on a full disk
    beat.tell({"shards": 2})
    assert (beat.read() or {})["shards"] == 1
    in_the_way.rmdir()
    beat.tell({"shards": 3})
    assert (beat.read() or {})["shards"] == 3
