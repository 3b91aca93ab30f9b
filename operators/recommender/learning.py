"""A model that learns into a store: its rows on a shelf, and what they learnt since they were written in a journal."""

from __future__ import annotations

from collections.abc import Mapping

from operators.recommender.journal import LESSONS_MAX, NOTE, opened, span_bytes
from operators.recommender.model import STATE, CoVisitation
from operators.recommender.shelf import Shelf
from state.item_store import ItemStore
from state.records import TopicPartition


class Learning:
    """Goes on where it stood when it was last saved.  Raises what `ItemStore` does."""

    def __init__(self, store: ItemStore) -> None:
        self._store = store
        self._journal = opened(store)
        self.shelf = Shelf(store)
        self.shelf.begin(self._journal.number)
        self.model = CoVisitation(self.shelf, self._journal.note)
        if (known := store.note(STATE)) is not None:
            self.model.restore(known)

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing that rows lack, nor an entry of the journal for who reads."""
        return not self.shelf.changed and self._journal.is_empty

    def save(
        self,
        notes: Mapping[str, bytes],
        watermarks: Mapping[TopicPartition, int],
        visitors: Mapping[bytes, bytes | None],
        *,
        whole: bool = False,
    ) -> None:
        """With these, in one write, all that was learnt; `whole`: every row that changed is written, too."""
        shelf, journal = self.shelf, self._journal
        whole = whole or journal.lessons > LESSONS_MAX
        rows, facts = shelf.to_save(None if whole else shelf.due)
        span, entries = journal.to_save(facts, shelf.lacking(), whole=whole)
        kept = {STATE: self.model.state_bytes(), NOTE: span_bytes(span)}
        self._store.commit(rows, facts, {**notes, **kept}, watermarks, visitors, entries)
        shelf.saved()
        journal.saved(span)
        shelf.begin(journal.number)
