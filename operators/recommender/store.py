"""Where rows rest: a mapping from key to row that the model reads and tells what it changed.

`InMemory` keeps all of them.  The rows handed out are shared: who changes one calls `put`.
"""

from __future__ import annotations

from typing import Protocol

from operators.recommender.rows import Row


class Rows(Protocol):
    """Rows one by one, by product."""

    def get(self, key: str) -> Row | None: ...

    def put(self, key: str, row: Row) -> None:
        """A row that is new, or was changed."""


class InMemory:
    """All rows in one dict: for tests, benchmarks and small shops."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self.get = self._rows.get

    def put(self, key: str, row: Row) -> None:
        self._rows[key] = row

    def __len__(self) -> int:
        return len(self._rows)
