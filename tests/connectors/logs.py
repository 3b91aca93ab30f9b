"""The embedded log as a door for the tests, and a partition of it for those that look at its files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors.log import LogReader, LogWriter, create_topics
from connectors.log.appender import Appender
from connectors.log.cursor import Cursor
from connectors.log.folders import partition_folder
from connectors.log.head import NAME
from state.records import Record, TopicPartition, TopicSpec

TP = TopicPartition("orders", 0)


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


@dataclass(frozen=True)
class OnePartition:
    """A topic of one partition, with segments so small that there are several."""

    root: Path
    segment_bytes_max: int = 400

    @classmethod
    def made(cls, root: Path, segment_bytes_max: int = 400) -> OnePartition:
        create_topics(root, [TopicSpec(TP.topic, 1, 7)])
        return cls(root, segment_bytes_max)

    @property
    def folder(self) -> Path:
        return partition_folder(self.root, TP)

    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.log"))

    @contextmanager
    def appender(self, *, fsync: bool = False) -> Iterator[Appender]:
        with closing(Appender(self.root, TP, fsync=fsync, segment_bytes_max=self.segment_bytes_max)) as appender:
            yield appender

    def append(self, values: Sequence[bytes], at: int = 1) -> list[bytes]:
        """Each as a frame of its own."""
        with self.appender() as appender:
            for value in values:
                appender.append(at, [(b"anna", value)])
        return list(values)

    def read(self, offset: int = 0) -> list[Record]:
        with closing(Cursor(self.root, TP, offset)) as cursor:
            found: list[Record] = []
            while records := cursor.read(3):
                found += records
            return found

    def values(self, offset: int = 0) -> list[bytes | None]:
        return [record.value for record in self.read(offset)]

    def forget_the_head(self) -> None:
        """As after a power cut: nothing is known but what the frames say."""
        (self.folder / NAME).write_bytes(b"")
