"""The embedded log keeps the promises of every log."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.connectors.contract import LogContract, topic, wide
from tests.connectors.logs import LogDoor

__all__ = ["topic", "wide"]


@pytest.fixture
def door(tmp_path: Path) -> LogDoor:
    return LogDoor(tmp_path)


class TestEmbeddedLog(LogContract):
    pass
