"""Where rows rest: read one by one by product, and put back when they were changed.

Rows handed out are shared and changed in place, so that reading costs nothing; `put` says that one has to be written.
"""

from __future__ import annotations

from typing import Protocol

from operators.recommender.rows import Row


class Rows(Protocol):
    """Rows by product."""

    def get(self, product: str, /) -> Row | None: ...

    def put(self, product: str, row: Row, /) -> None:
        """A row that is new, or was changed."""


class InMemory:
    """All rows in one dict: for tests, benchmarks and small shops."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self.get, self.put = self._rows.get, self._rows.__setitem__

    def __len__(self) -> int:
        return len(self._rows)
