"""The embedded log as a door for the tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from connectors.log import LogReader, LogWriter, create_topics
from state.records import TopicSpec


@dataclass(frozen=True)
class LogDoor:
    root: Path
    fsync: bool = False

    def create(self, topic: str, partitions: int) -> None:
        create_topics(self.root, [TopicSpec(topic, partitions, 7)])

    def reader(self, group: str = "") -> LogReader:
        return LogReader(self.root, group)

    def writer(self) -> LogWriter:
        return LogWriter(self.root, fsync=self.fsync)
