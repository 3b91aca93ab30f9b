"""Rows and facts of products as the learner holds them: the ones used last in memory, what changed until it is written.

What changed stays in memory until `saved`, so that nothing is read back older than it is.  Facts are written with the
next write; of rows some, those first that have waited longest, since what they learnt is in the journal.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import Protocol

from operators.recommender.rows import Row, from_bytes, to_bytes
from state.recommendations import ItemFacts

ROWS_MAX = 50_000
FACTS_MAX = 50_000
WRITTEN_LEAST = 200  # rows at a time, where there are so many,
WRITTEN_PART = 10  # one of so many that changed,
UNWRITTEN_MAX = 10_000  # and all but so many


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
        self._changed_rows: dict[str, int] = {}  # and the journal's entry that was under way when it did
        self._number = 1
        self._written: list[str] = []
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
        if key not in self._changed_rows:
            self._changed_rows[key] = self._number

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

    @property
    def due(self) -> int:
        """How many of the rows that changed are to be written next."""
        changed = len(self._changed_rows)
        return max(WRITTEN_LEAST, -(-changed // WRITTEN_PART), changed - UNWRITTEN_MAX)

    def begin(self, number: int) -> None:
        """What is changed from now on goes into this entry of the journal."""
        self._number = number

    def to_save(self, rows_max: int | None = None) -> tuple[dict[str, bytes], dict[str, ItemFacts]]:
        """All facts that changed, and so many rows; all where None."""
        self._written = list(islice(self._changed_rows, rows_max))
        rows = {item: to_bytes(row, self._number) for item in self._written if (row := self._rows[item]) is not None}
        facts = {item: said for item in self._changed_facts if (said := self._facts[item]) is not None}
        return rows, facts

    def lacking(self) -> int | None:
        """The first entry that a row will lack once `saved`; None where all hold everything."""
        return next(islice(self._changed_rows.values(), len(self._written), None), None)

    def saved(self) -> None:
        """What `to_save` gave is in the store; make room."""
        for item in self._written:
            del self._changed_rows[item]
        self._written.clear()
        self._changed_facts.clear()
        for item in list(islice(self._rows, max(0, len(self._rows) - self._rows_max))):
            if item not in self._changed_rows:
                del self._rows[item]
        while len(self._facts) > self._facts_max:
            self._facts.popitem(last=False)
