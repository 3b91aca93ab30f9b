"""The embedded log: the promises of every log, and what is its own: segments, torn tails, damage, bells, retention."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from connectors.log import LogReader, LogWriter, create_topics
from state.records import TopicSpec
from tests.connectors.contract import LogContract


@dataclass(frozen=True)
class LogDoor:
    root: Path
    fsync: bool = False

    def create(self, topic: str, partitions: int) -> None:
        create_topics(self.root, [TopicSpec(topic, partitions, 30)])

    def reader(self, group: str = "") -> LogReader:
        return LogReader(self.root, group)

    def writer(self) -> LogWriter:
        return LogWriter(self.root, fsync=self.fsync)


class TestLog(LogContract):
    @pytest.fixture
    def door(self, tmp_path: Path) -> LogDoor:
        return LogDoor(tmp_path)
