"""What the learner has written so far, for those who only read: the HTTP doors and the couriers."""

from __future__ import annotations

import time
from collections.abc import Callable

from operators.recommender.journal import NOTE, Span, Unwritten, span_of
from operators.recommender.model import STATE, CoVisitation
from operators.recommender.ranking import CHAMPION, Weights, read_weights
from operators.recommender.rows import Row, from_bytes
from operators.recommender.rules import NO_RULES, Rules
from state.item_store import ItemStore
from state.recommendations import ItemFacts

REFRESH_SECONDS = 0.25
ROWS_MAX, FACTS_MAX = 5_000, 5_000
_NO_FACTS = ItemFacts()


class Learnt:
    """A model as it was at most `REFRESH_SECONDS` before the last `refresh`.  Not for several threads.

    `rules` are the shop's, for whatever is chosen from it; `champion` is what puts candidates into another order.
    `open_store` gives None while nobody has learnt anything.
    """

    def __init__(
        self,
        open_store: Callable[[], ItemStore | None],
        monotonic: Callable[[], float] = time.monotonic,
        rules: Rules = NO_RULES,
    ) -> None:
        self.rules = rules
        self._open, self._monotonic = open_store, monotonic
        self._store: ItemStore | None = None
        self._refresh_at = 0.0
        self._rows: dict[str, Row] = {}
        self._facts: dict[str, ItemFacts] = {}
        self._absent: set[str] = set()  # products without a row
        self._unwritten = Unwritten()
        self._state: bytes | None = None
        self._ranks: bytes | None = None
        self.champion = Weights()
        self.model = CoVisitation(self)

    def refresh(self) -> None:
        """See what was written since, if it is time to."""
        now = self._monotonic()
        if now < self._refresh_at:
            return
        self._refresh_at = now + REFRESH_SECONDS
        if self._store is not None and self._store.is_outdated:
            self.close()
        if self._store is None:
            self._store = self._open()
        elif not self._store.refresh():
            return  # the learner writes less often than it is looked: what was read stays as it is
        if self._store is not None:
            self._follow(self._store, span_of(self._store.note(NOTE)))
            state = self._store.note(STATE)
            if state is not None and state != self._state:
                self._state = state
                self.model.restore(state)
            self._take(self._store.note(CHAMPION))

    def get(self, key: str) -> Row | None:
        """A row, as the model asks for it."""
        row, unwritten = self._rows.get(key), self._unwritten
        if row is not None and row.holds >= unwritten.last:
            return row
        if key in self._absent:
            return None
        if row is None or row.holds < unwritten.first - 1:
            stored = self._store.row(key) if self._store is not None else None
            row = None if stored is None else from_bytes(stored)
        row = unwritten.taught(key, row)
        if len(self._rows) + len(self._absent) >= ROWS_MAX:
            self._rows.clear()
            self._absent.clear()
        if row is None:
            self._absent.add(key)
        else:
            self._rows[key] = row
        return row

    def put(self, key: str, row: Row) -> None:
        raise AssertionError("who reads does not learn")

    def facts(self, item: str) -> ItemFacts:
        facts = self._facts
        if item not in facts:
            if len(facts) >= FACTS_MAX:
                facts.clear()
            found = self._store.facts(item) if self._store is not None else None
            facts[item] = found or _NO_FACTS
        return facts[item]

    def _take(self, ranks: bytes | None) -> None:
        if ranks == self._ranks:
            return
        self._ranks = ranks
        try:
            self.champion = read_weights(ranks) if ranks is not None else Weights()
        except ValueError:
            self.champion = Weights()  # the learner tells of it; what is shown comes as it did before

    def _follow(self, store: ItemStore, span: Span) -> None:
        """Take in what is new in the journal; where some of that is gone already, all is read anew."""
        if not span.last or not span.first <= self._unwritten.last + 1 <= span.last + 1:
            self._forget()
        for entry in self._unwritten.follow(store, span):
            self._absent.difference_update(entry.rows)
            for product in entry.facts:
                self._facts.pop(product, None)

    def _forget(self) -> None:
        self._rows.clear()
        self._facts.clear()
        self._absent.clear()
        self._unwritten = Unwritten()

    def close(self) -> None:
        self._forget()
        if self._store is not None:
            self._store.close()
            self._store = None
