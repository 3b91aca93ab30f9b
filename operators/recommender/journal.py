"""What rows learnt since they were written: a row is written now and then, what it learnt is written at once.

As a database has its log and its checkpoints.  A row is some two kilobytes and an event changes five of them: to write
all that changed each second is ten megabytes for 2,000 events, and who reads beside the writer takes them in as well.
An entry holds sums by product, and no names.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

import msgspec

from operators.recommender.rows import Row, decoded, from_bytes, to_bytes
from state.item_store import ItemStore

NOTE = "journal"  # the name under which a store keeps the span
_AT_ONCE = 2_000  # rows in one write, where an earlier learner left some
KEPT = 10  # entries that stay for who reads, whatever is written
LESSONS_MAX = 50_000  # that some row may lack; above it all rows are written


class Since(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What one row learnt in one entry: weights by the products that came after and before."""

    after: dict[str, float] = {}
    before: dict[str, float] = {}

    def teach(self, row: Row) -> None:
        for product, weight in self.after.items():
            row.follow(product, weight)
        row.precede(self.before.items(), 1.0)


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """What was learnt between two writes; `facts`: the products of which something else was said."""

    rows: dict[str, msgspec.Raw]  # of `Since`
    facts: list[str]


class Span(msgspec.Struct, array_like=True, frozen=True):
    """The entries that are there; none where `first` is greater than `last`."""

    first: int
    last: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode
_decode_since = msgspec.msgpack.Decoder(Since).decode
_decode_span = msgspec.msgpack.Decoder(Span).decode
_NOTHING = Span(1, 0)


def span_bytes(span: Span) -> bytes:
    return _encode(span)


def span_of(stored: bytes | None) -> Span:
    """Raises `StoreDamaged` for what is no span."""
    return _NOTHING if stored is None else decoded(_decode_span, stored)


class Journal:
    """The writer's side.  `number` is that of the entry under way."""

    def __init__(self, span: Span = _NOTHING) -> None:
        self._first, self.number = span.first, span.last + 1
        self._lessons: list[tuple[str, Sequence[tuple[str, float]], float]] = []
        self._counts: deque[int] = deque()

    def note(self, product: str, taught: Sequence[tuple[str, float]], gain: float) -> None:
        """She came to this product from those, each with its part, all worth so much now."""
        self._lessons.append((product, taught, gain))

    @property
    def is_empty(self) -> bool:
        """Whether no entry is kept."""
        return self._first >= self.number

    @property
    def lessons(self) -> int:
        """How many are in the entries that are kept, and in the one under way."""
        return sum(self._counts) + len(self._lessons)

    def to_save(
        self, facts: Iterable[str], lacking: int | None, *, whole: bool = False
    ) -> tuple[Span, dict[int, bytes | None]]:
        """What there is once this is written: the entry under way, and None for those that go.

        Rows lack those from `lacking` on; `whole`: they lack nothing, and none is kept, that under way neither.
        """
        first, number = self._first, self.number
        if whole:
            return Span(number + 1, number), dict.fromkeys(range(first, number))
        kept = max(first, min(number - KEPT + 1, number if lacking is None else lacking))
        return Span(kept, number), {**dict.fromkeys(range(first, kept)), number: self._entry(facts)}

    def saved(self, span: Span) -> None:
        """The entry under way was written, and this is what there is; begin another."""
        self._counts.append(len(self._lessons))
        self._lessons.clear()
        self.number += 1
        self._first = span.first
        while len(self._counts) > self.number - span.first:
            self._counts.popleft()

    def _entry(self, facts: Iterable[str]) -> bytes:
        rows: dict[str, Since] = {}
        for product, taught, gain in self._lessons:
            before = (rows.get(product) or rows.setdefault(product, Since({}, {}))).before
            for earlier, part in taught:
                weight = part * gain
                before[earlier] = before.get(earlier, 0.0) + weight
                after = (rows.get(earlier) or rows.setdefault(earlier, Since({}, {}))).after
                after[product] = after.get(product, 0.0) + weight
        return _encode((rows, list(facts)))


def opened(store: ItemStore) -> Journal:
    """For who writes: what an earlier learner had not written into rows is written into them first."""
    span = span_of(store.note(NOTE))
    if span.first > span.last:
        return Journal(span)
    unwritten = Unwritten()
    unwritten.follow(store, span)
    whole: dict[str, bytes] = {}
    for product in unwritten.products():
        stored = store.row(product)
        row = None if stored is None else from_bytes(stored)
        if unwritten.has_more(product, row) and (row := unwritten.taught(product, row)) is not None:
            whole[product] = to_bytes(row, span.last)
        if len(whole) >= _AT_ONCE:
            store.commit(whole, {}, {}, {})  # what they hold is not taught again, should it end here
            whole.clear()
    after = Span(span.last + 1, span.last)
    gone = dict.fromkeys(range(span.first, span.last + 1))
    store.commit(whole, {}, {NOTE: span_bytes(after)}, {}, {}, gone)
    return Journal(after)


class Unwritten:
    """The reader's side: entries that rows may lack.  A row learns from them when it is asked for."""

    def __init__(self) -> None:
        self._entries: deque[tuple[int, dict[str, msgspec.Raw]]] = deque()
        self.first, self.last = 1, 0

    def follow(self, store: ItemStore, span: Span) -> list[Entry]:
        """These are what there is; those that are new.  Raises `StoreDamaged` for what is no entry."""
        numbers = range(max(span.first, self.last + 1), span.last + 1)
        new = [decoded(_decode, store.entry(number) or b"") for number in numbers]
        self._entries.extend((number, entry.rows) for number, entry in zip(numbers, new, strict=True))
        self.first, self.last = span.first, span.last
        while self._entries and self._entries[0][0] < span.first:
            self._entries.popleft()
        return new

    def products(self) -> set[str]:
        return {product for _, rows in self._entries for product in rows}

    def has_more(self, product: str, row: Row | None) -> bool:
        """Whether there is something that the row lacks."""
        return bool(self._lacked(product, row))

    def taught(self, product: str, row: Row | None) -> Row | None:
        """The row, with all that it lacked; None where nothing was learnt of the product."""
        for since in self._lacked(product, row):
            row = row or Row()
            decoded(_decode_since, since).teach(row)
        if row is not None:
            row.holds = max(row.holds, self.last)
        return row

    def _lacked(self, product: str, row: Row | None) -> list[msgspec.Raw]:
        holds = 0 if row is None else row.holds
        return [rows[product] for number, rows in self._entries if number > holds and product in rows]
