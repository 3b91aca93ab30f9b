"""The embedded log keeps the promises of every log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from connectors.log import LogReader, LogWriter, create_topics
from state.records import TopicSpec
from tests.connectors.contract import LogContract, topic, wide

__all__ = ["topic", "wide"]


class EmbeddedDoor:
    def __init__(self, root: Path, opened: ExitStack) -> None:
        self._root, self._opened = root, opened

    def reader(self, group: str = "") -> LogReader:
        return self._opened.enter_context(closing(LogReader(self._root, group)))

    def writer(self) -> LogWriter:
        return self._opened.enter_context(closing(LogWriter(self._root)))

    def create(self, topic: str, partitions: int) -> None:
        create_topics(self._root, [TopicSpec(topic, partitions, 7)])


@pytest.fixture
def door(tmp_path: Path) -> Iterator[EmbeddedDoor]:
    with ExitStack() as opened:
        yield EmbeddedDoor(tmp_path, opened)


class TestEmbeddedLog(LogContract):
    pass
