"""What was learnt reaches who reads at once, though rows are written now and then; nothing counts twice or is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest

from operators.recommender import journal, shelf
from operators.recommender.decay import EPOCH_MS
from operators.recommender.journal import KEPT, NOTE, opened, span_of
from operators.recommender.learning import Learning
from operators.recommender.model import CoVisitation
from operators.recommender.reading import REFRESH_SECONDS, Learnt
from operators.recommender.rows import Row, from_bytes, to_bytes
from operators.recommender.shelf import UNWRITTEN_MAX, WRITTEN_LEAST, WRITTEN_PART, Shelf
from operators.recommender.store import InMemory
from operators.recommender.visits import Visit
from state.item_store import ItemStore
from state.recommendations import ItemFacts
from state.rocks import Memory
from state.store_errors import StoreDamaged

PRODUCTS = [f"p{number}" for number in range(30)]
ROWS_LEAST = 1  # written at a time, of some ten that change


class Teacher:
    """What the learner does, but that it writes only one row at a time; and beside it one that has all in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.draw, self.at = folder, Random(5), 0
        self.plain = CoVisitation(InMemory())
        self.visits = [(Visit(), Visit()) for _ in range(5)]  # the learner finds them in the log again
        self.start()

    def start(self) -> None:
        self.store = ItemStore.open(self.folder, Memory(8, 8))
        self.learning = Learning(self.store)
        self.shelf = self.learning.shelf
        self.shelf._rows_max = 4

    def kill(self) -> None:
        """What was not saved is gone."""
        self.store.close()
        self.start()

    def teach(self, count: int = 6) -> None:
        for _ in range(count):
            self.at += 1
            mine, plain = self.draw.choice(self.visits)
            product = min(self.draw.choice(PRODUCTS), self.draw.choice(PRODUCTS))
            self.learning.model.learn(mine, product, EPOCH_MS + self.at)
            self.plain.learn(plain, product, EPOCH_MS + self.at)
            self.shelf.put_facts(product, ItemFacts(name=f"{product} at {self.at}"))

    def save(self, *, whole: bool = False) -> None:
        self.learning.save({}, {}, {}, whole=whole)

    @property
    def kept(self) -> int:
        """How many entries there are, all of them those that the span names."""
        span = span_of(self.store.note(NOTE))
        numbers = [number for number in range(span.last + 5) if self.store.entry(number) is not None]
        assert numbers == list(range(span.first, span.last + 1))
        return len(numbers)


class Reader:
    """Looks whenever it is asked to."""

    def __init__(self, folder: Path, name: str) -> None:
        self._now = 0.0
        self.learnt = Learnt(lambda: ItemStore.open_reading(folder, folder / name, Memory(8, 8)), lambda: self._now)

    def look(self) -> None:
        self._now += REFRESH_SECONDS
        self.learnt.refresh()


@pytest.fixture
def teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Teacher]:
    monkeypatch.setattr(shelf, "WRITTEN_LEAST", ROWS_LEAST)
    monkeypatch.setattr(shelf, "WRITTEN_PART", len(PRODUCTS))
    teacher = Teacher(tmp_path)
    yield teacher
    teacher.store.close()


@pytest.fixture
def reader(tmp_path: Path, teacher: Teacher) -> Iterator[Reader]:
    reader = Reader(tmp_path, "reader")
    yield reader
    reader.learnt.close()


def as_in(row: Row | None, plain: Row | None) -> bool:
    if row is None or plain is None:
        return row is plain
    sides = ((row.after, plain.after), (row.before, plain.before))
    totals = (row.after_total, row.before_total) == pytest.approx((plain.after_total, plain.before_total))
    return totals and all(mine == pytest.approx(other) for mine, other in sides)


def test_who_reads_knows_all_that_was_saved_whatever_of_it_it_looked_at_before(
    teacher: Teacher, reader: Reader
) -> None:
    kept = []
    for turn in range(8 * KEPT):
        teacher.teach()
        teacher.save(whole=turn % 31 == 30)
        kept.append(teacher.kept)
        if turn % 17 < 12:  # else it sleeps, and may miss more than is kept
            reader.look()
            for product in teacher.draw.sample(PRODUCTS, 5):
                row, facts = reader.learnt.get(product), teacher.store.facts(product)
                assert as_in(row, teacher.plain.rows.get(product)), (turn, product)
                assert reader.learnt.facts(product) == (facts or ItemFacts())
    assert max(kept) <= len(PRODUCTS) // ROWS_LEAST + KEPT
    assert max(kept) > KEPT > min(kept) == 0  # rows lacked what was in them, and after a whole save none did


@pytest.mark.parametrize("seed", range(3))
def test_a_kill_loses_and_doubles_nothing_that_was_saved(teacher: Teacher, reader: Reader, seed: int) -> None:
    chance = Random(seed)
    for _ in range(40):
        teacher.teach()
        teacher.save(whole=chance.random() < 0.1)
        if chance.random() < 0.3:
            teacher.kill()
        if chance.random() < 0.5:
            reader.look()
    reader.look()
    for product in PRODUCTS:
        plain = teacher.plain.rows.get(product)
        assert as_in(teacher.shelf.get(product), plain), product
        assert as_in(reader.learnt.get(product), plain), product


def test_what_was_not_saved_is_as_if_it_had_not_been_learnt(teacher: Teacher, reader: Reader) -> None:
    teacher.teach(40)
    teacher.save()
    reader.look()
    known = {product: reader.learnt.get(product) for product in PRODUCTS}
    teacher.teach(40)
    teacher.kill()
    reader.look()
    assert all(as_in(reader.learnt.get(product), known[product]) for product in PRODUCTS)
    assert all(as_in(teacher.shelf.get(product), known[product]) for product in PRODUCTS)


def test_rows_of_a_store_from_before_there_was_a_journal_learn_on(teacher: Teacher, reader: Reader) -> None:
    teacher.teach(60)
    rows, facts = teacher.shelf.to_save()
    teacher.store.commit({product: to_bytes(from_bytes(row)) for product, row in rows.items()}, facts, {}, {})
    reader.look()
    assert all(as_in(reader.learnt.get(product), teacher.plain.rows.get(product)) for product in PRODUCTS)
    teacher.kill()
    for _ in range(3):
        teacher.teach()
        teacher.save()
        reader.look()
        assert all(as_in(reader.learnt.get(product), teacher.plain.rows.get(product)) for product in PRODUCTS)


def test_what_nobody_has_come_from_is_looked_up_once_until_somebody_has(
    teacher: Teacher, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher.teach(2)
    teacher.save()
    reader.look()
    looked: list[str] = []
    found = ItemStore.row

    def counted(store: ItemStore, item: str) -> bytes | None:
        looked.append(item)
        return found(store, item)

    monkeypatch.setattr(ItemStore, "row", counted)
    unknown = [product for product in PRODUCTS if teacher.plain.rows.get(product) is None]
    for product in [*unknown, *unknown]:
        assert reader.learnt.get(product) is None
    assert looked == unknown
    teacher.teach(300)
    teacher.save()
    reader.look()
    assert all(as_in(reader.learnt.get(product), teacher.plain.rows.get(product)) for product in PRODUCTS)


def test_a_start_writes_those_rows_that_lack_something_a_few_at_a_time(
    teacher: Teacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        teacher.teach()
        teacher.save()
    lacking = teacher.shelf.changed
    teacher.store.close()
    written: list[int] = []
    commit = ItemStore.commit

    def counted(store: ItemStore, rows: Mapping[str, bytes], *others: Any) -> None:
        written.append(len(rows))
        commit(store, rows, *others)

    monkeypatch.setattr(ItemStore, "commit", counted)
    monkeypatch.setattr(journal, "_AT_ONCE", 3)
    teacher.start()
    assert sum(written) == lacking > 3
    assert max(written) <= 3
    assert all(as_in(teacher.shelf.get(product), teacher.plain.rows.get(product)) for product in PRODUCTS)


def test_an_entry_that_is_none_is_an_error_for_who_reads_and_who_writes(teacher: Teacher, reader: Reader) -> None:
    teacher.teach()
    teacher.save()
    last = span_of(teacher.store.note(NOTE)).last
    for damaged in (b"\xc1", None):
        teacher.store.commit({}, {}, {}, {}, {}, {last: damaged})
        with pytest.raises(StoreDamaged, match="not as it was written"):
            Learnt(lambda: teacher.store).refresh()
        with pytest.raises(StoreDamaged, match="not as it was written"):
            opened(teacher.store)


def test_few_rows_are_written_at_once_and_many_a_tenth_at_a_time_but_never_are_too_many_left(tmp_path: Path) -> None:
    store = ItemStore.open(tmp_path, Memory(8, 8))
    shelf = Shelf(store, rows_max=10)
    for changed, due in (
        (3, WRITTEN_LEAST),
        (WRITTEN_LEAST * WRITTEN_PART + 10, WRITTEN_LEAST + 1),
        (UNWRITTEN_MAX * 2, UNWRITTEN_MAX),
    ):
        for number in range(changed):
            shelf.put(f"p{number}", Row({"other": 1.0}, 1.0))
        assert shelf.due == due
    shelf.to_save(shelf.due)
    shelf.saved()
    assert shelf.changed == UNWRITTEN_MAX
    assert all(shelf.get(f"p{number}") is not None for number in range(UNWRITTEN_MAX, 2 * UNWRITTEN_MAX))
    assert shelf.get("p0") is None  # written (here, to nowhere), and let go
    store.close()
