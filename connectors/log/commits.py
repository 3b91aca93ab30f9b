"""How far a group of readers has come, partition by partition: a number in a small file, written over in place.

A killed process leaves the old number or the new one.  A power cut may lose both, which costs reading again.
"""

from __future__ import annotations

import os
from pathlib import Path

from connectors.log.folders import commit_file
from state.records import TopicPartition

_DIGITS = 20


class Commits:
    """Keeps its files open: replacing them, as one does with what must be whole, takes the disk's time."""

    def __init__(self, root: Path, group: str) -> None:
        self._root, self._group = root, group
        self._files: dict[TopicPartition, int] = {}

    def put(self, tp: TopicPartition, offset: int) -> None:
        """Raises `OSError` when the disk does not take it."""
        descriptor = self._files.get(tp)
        if descriptor is None:
            path = commit_file(self._root, self._group, tp)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = self._files[tp] = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.pwrite(descriptor, f"{offset:0{_DIGITS}}\n".encode(), 0)

    def get(self, tp: TopicPartition) -> int | None:
        try:
            return int(commit_file(self._root, self._group, tp).read_text())
        except (FileNotFoundError, ValueError):
            return None

    def close(self) -> None:
        while self._files:
            os.close(self._files.popitem()[1])
