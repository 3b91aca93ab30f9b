"""Rows in order, whatever order they came in."""

from random import Random

from state.sorter import BATCH, Sorter


def test_each_owner_comes_with_her_rows_in_order_of_time() -> None:
    rows = [(f"c{n % 7}".encode(), 1_000_000 + 256 * n, str(n).encode(), b"row %d" % n) for n in range(3 * BATCH)]
    shuffled = rows[:]
    Random(1).shuffle(shuffled)
    with Sorter() as sorter:
        for row in shuffled:
            sorter.add(*row)
        found = dict(sorter.owners())
    assert found == {owner: [row for who, *_, row in rows if who == owner] for owner in {row[0] for row in rows}}


def test_who_is_named_like_the_beginning_of_another_is_another() -> None:
    with Sorter() as sorter:
        for owner in (b"ann", b"anna", b"an"):
            sorter.add(owner, 1, b"", owner)
        assert list(sorter.owners()) == [(b"an", [b"an"]), (b"ann", [b"ann"]), (b"anna", [b"anna"])]


def test_what_comes_twice_is_there_once() -> None:
    with Sorter() as sorter:
        sorter.add(b"anna", 5, b"d1", b"x")
        sorter.add(b"anna", 5, b"d1", b"x")
        sorter.add(b"anna", 5, b"d2", b"y")
        assert list(sorter.owners()) == [(b"anna", [b"x", b"y"])]


def test_nothing_is_left_of_it_on_disk() -> None:
    sorter = Sorter()
    folder = sorter._folder.name
    sorter.add(b"anna", 5, b"d1", b"x")
    sorter.close()
    from pathlib import Path

    assert not Path(folder).exists()
