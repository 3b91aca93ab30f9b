"""Rows and facts of products as the learner holds them: the ones used last in memory, what changed until it is written.

What changed stays in memory until `saved`, so that nothing is read back older than it is.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from operators.recommender.rows import Row, from_bytes, to_bytes
from state.recommendations import ItemFacts

ROWS_MAX = 50_000
FACTS_MAX = 50_000


class Stored(Protocol):
    """Where products are looked up that are not in memory."""

    def row(self, item: str) -> bytes | None: ...

    def facts(self, item: str) -> ItemFacts | None: ...


class Shelf:
    """A model's rows (`store.Rows`) over a store, and the facts beside them; bounded but for what is unwritten."""

    def __init__(self, stored: Stored, *, rows_max: int = ROWS_MAX, facts_max: int = FACTS_MAX) -> None:
        self._stored, self._rows_max, self._facts_max = stored, rows_max, facts_max
        self._rows: OrderedDict[str, Row | None] = OrderedDict()
        self._facts: OrderedDict[str, ItemFacts | None] = OrderedDict()
        self._changed_rows: set[str] = set()
        self._changed_facts: set[str] = set()

    def get(self, key: str) -> Row | None:
        rows = self._rows
        if key in rows:
            rows.move_to_end(key)
            return rows[key]
        stored = self._stored.row(key)
        row = rows[key] = None if stored is None else from_bytes(stored)
        return row

    def put(self, key: str, row: Row) -> None:
        self._rows[key] = row
        self._rows.move_to_end(key)
        self._changed_rows.add(key)

    def facts(self, item: str) -> ItemFacts | None:
        facts = self._facts
        if item in facts:
            facts.move_to_end(item)
            return facts[item]
        found = facts[item] = self._stored.facts(item)
        return found

    def put_facts(self, item: str, facts: ItemFacts) -> None:
        self._facts[item] = facts
        self._facts.move_to_end(item)
        self._changed_facts.add(item)

    @property
    def changed(self) -> int:
        """How many products are to be written."""
        return len(self._changed_rows) + len(self._changed_facts)

    def to_save(self) -> tuple[dict[str, bytes], dict[str, ItemFacts]]:
        rows = {item: to_bytes(row) for item in self._changed_rows if (row := self._rows[item]) is not None}
        facts = {item: said for item in self._changed_facts if (said := self._facts[item]) is not None}
        return rows, facts

    def saved(self) -> None:
        """What `to_save` gave is in the store; make room."""
        self._changed_rows.clear()
        self._changed_facts.clear()
        while len(self._rows) > self._rows_max:
            self._rows.popitem(last=False)
        while len(self._facts) > self._facts_max:
            self._facts.popitem(last=False)
