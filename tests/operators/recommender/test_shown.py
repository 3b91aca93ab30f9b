"""What was shown to her too often without her coming to it: how it is counted, and what follows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from operators.recommender.shown import CLOCKS_DIFFER_MS, FORGET_MS, SHOWN_MAX, came_to, showed, together
from state.recommendations import Shown

NOW = 1_767_571_200_000
MINUTE = 60_000

Showing = tuple[int, set[str]]
FEW = st.lists(st.tuples(st.integers(0, FORGET_MS - 1), st.sets(st.sampled_from("abcdefgh"))), max_size=20)
MANY = st.lists(st.tuples(st.integers(0, FORGET_MS - 1), st.sets(st.integers(0, 200).map(str))), max_size=20)


def counted(showings: list[Showing]) -> dict[str, Shown]:
    found: dict[str, Shown] = {}
    for at, items in showings:
        found = showed(found, items, NOW + at)
    return found


@given(FEW, st.randoms(use_true_random=False), st.integers(0, 20))
def test_each_showing_counts_in_whatever_order_and_under_whichever_id(
    showings: list[Showing], chance: object, cut: int
) -> None:
    whole = counted(showings)
    for item in "abcdefgh":
        times = [NOW + at for at, items in showings if item in items]
        assert whole.get(item) == (Shown(len(times), max(times)) if times else None)
    shuffled = list(showings)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert counted(shuffled) == whole
    assert together(counted(shuffled[:cut]), counted(shuffled[cut:])) == whole


@given(MANY, MANY)
def test_memory_is_bounded_and_keeps_what_was_shown_last(one: list[Showing], other: list[Showing]) -> None:
    mine, hers = counted(one), counted(other)
    both = together(mine, hers)
    assert both == together(hers, mine)
    assert max(map(len, (mine, hers, both))) <= SHOWN_MAX
    gone = (mine.keys() | hers.keys()) - both.keys()
    if gone:
        last = min(each.at for each in both.values())
        assert all(max(each[item].at for each in (mine, hers) if item in each) <= last for item in gone)


def test_what_was_not_shown_for_long_is_counted_anew() -> None:
    shown = counted([(0, {"hat"}), (1, {"hat"})])
    assert shown == {"hat": Shown(2, NOW + 1)}
    assert showed(shown, ["hat"], NOW + 1 + FORGET_MS) == {"hat": Shown(1, NOW + 1 + FORGET_MS)}


def test_within_a_while_it_counts_once() -> None:
    shown: dict[str, Shown] = {}
    for minute in (0, 10, 29, 30, 45, 61, 2):
        shown = showed(shown, ["hat"], NOW + minute * MINUTE, apart_ms=30 * MINUTE)
    assert shown == {"hat": Shown(3, NOW + 61 * MINUTE)}


def test_who_comes_to_it_begins_anew_by_any_clock_but_not_by_what_she_did_long_before() -> None:
    for came, left in ((NOW + MINUTE, {}), (NOW - CLOCKS_DIFFER_MS, {}), (NOW - 60 * MINUTE, {"hat": Shown(3, NOW)})):
        shown = {"hat": Shown(3, NOW)}
        came_to(shown, "hat", came)
        came_to(shown, "shoes", came)
        assert shown == left
