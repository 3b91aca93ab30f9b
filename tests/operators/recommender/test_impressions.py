"""What was shown and what came of it: whose doing a choice is, that it teaches once, and how much one visitor may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.recommender.impressions import CART, LISTS_EACH, ORDER, TAUGHT_MAX, VIEW, Choice, Impressions
from state import events as ev
from state.events import Event
from state.instants import format_instant
from state.recommendations import Recommendation, Recommended

NOW, MINUTE = 1_767_571_200_000, 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
ANNA, PHONE = b"anna", b"phone"
MADE = {VIEW: ev.ProductViewed, CART: ev.ProductAdded}


def shown(number: int, at: int, *items: str, pinned: Sequence[str] = ()) -> bytes:
    """A recommendation as it is logged; its features say which it is, and which product."""
    features = [
        {} if item in pinned else {"place": -float(place), "list": float(number), item: 1.0}
        for place, item in enumerate(items)
    ]
    made = Recommendation(
        recommendation_id=f"r{number}",
        at=format_instant(NOW + at),
        block="discover",
        strategy="co_visitation",
        fallback=False,
        items=tuple(Recommended(item=item, score=1.0, reason="seen_together") for item in items),
        features=tuple(features),
    )
    return msgspec.json.encode(made)


def came(at: int, item: str, strength: int = VIEW) -> Event:
    if strength == ORDER:
        return ev.OrderCompleted(at=NOW + at, products=(ev.OrderLine(product_id=item),))
    return MADE[strength](at=NOW + at, product_id=item)


class Heard(list[Choice]):
    """All choices; `names` as list, product and whether it was the first time."""

    @property
    def names(self) -> list[tuple[int, str, bool]]:
        return [(int(one["list"]), item_of(one), each.first) for each in self for one in [each.shown[each.chosen]]]


def item_of(features: dict[str, float]) -> str:
    return next(name for name in features if name not in {"place", "list"})


def impressions() -> tuple[Impressions, Heard]:
    heard = Heard()
    return Impressions(heard.append), heard


def test_a_choice_is_the_doing_of_what_showed_it_last_before() -> None:
    known, heard = impressions()
    known.show(ANNA, shown(1, 0, "laces", "socks"))
    known.show(ANNA, shown(2, HOUR, "hat", "laces"))
    known.show(ANNA, shown(3, 3 * HOUR, "laces", "hat"))
    known.take(ANNA, came(2 * HOUR, "laces"))
    known.take(ANNA, came(2 * HOUR, "tent"))
    known.take(b"berta", came(2 * HOUR, "laces"))
    assert heard.names == [(2, "laces", True)]


@pytest.mark.parametrize(
    ("after", "strength", "counts"),
    [
        (DAY, VIEW, True),
        (DAY + 1, VIEW, False),
        (DAY + 1, CART, False),
        (DAY + 1, ORDER, True),
        (7 * DAY + 1, ORDER, False),
        (-1, VIEW, False),
    ],
)
def test_a_view_counts_for_a_day_and_an_order_for_seven(after: int, strength: int, counts: bool) -> None:
    known, heard = impressions()
    known.show(ANNA, shown(1, 0, "laces", "socks"))
    known.take(ANNA, came(after, "laces", strength))
    assert len(heard) == counts


def test_a_product_teaches_once_and_once_more_for_each_stronger_thing_she_does() -> None:
    known, heard = impressions()
    known.show(ANNA, shown(1, 0, "laces", "socks"))
    known.show(ANNA, shown(1, 0, "laces", "socks"))
    for minute, strength in enumerate((VIEW, VIEW, CART, VIEW, CART, ORDER, ORDER)):
        known.take(ANNA, came(minute, "laces", strength))
    assert [first for _, _, first in heard.names] == [True, False, False]


def test_it_is_compared_with_its_neighbours_on_the_page_but_with_none_that_she_chose_too() -> None:
    known, heard = impressions()
    known.show(ANNA, shown(1, 0, "a", "b", "c", "d", "e"))
    for item in ("c", "d"):
        known.take(ANNA, came(1, item))
    passed = [[item_of(each.shown[place]) for place in each.passed] for each in heard]
    assert passed == [["b", "d"], ["e"]]


def test_the_order_on_the_page_is_not_the_order_they_came_in() -> None:
    known, heard = impressions()
    made = msgspec.json.decode(shown(1, 0, "a", "b", "c", "d", pinned=["b"]))
    for key in ("items", "features"):
        made[key] = made[key][::-1]  # d, c, b (pinned), a
    known.show(ANNA, msgspec.json.encode(made))
    known.take(ANNA, came(1, "b"))
    known.take(ANNA, came(1, "c"))
    [choice] = heard
    assert [item_of(each) for each in choice.shown] == ["a", "c", "d"]
    assert (choice.chosen, sorted(choice.passed)) == (1, [0, 2])


def test_what_she_did_is_remembered_for_what_is_read_after_it() -> None:
    known, heard = impressions()
    known.take(ANNA, came(MINUTE, "laces"))
    known.take(ANNA, came(MINUTE, "socks", CART))
    known.show(ANNA, shown(1, 0, "laces", "socks"))
    known.show(ANNA, shown(2, 1, "laces", "socks"))
    assert heard.names == [(1, "laces", True), (1, "socks", True)]


def test_one_visitor_teaches_only_so_much_and_is_heard_again_later() -> None:
    known, heard = impressions()
    for number in range(100):
        known.show(ANNA, shown(number, number * MINUTE, "laces", "socks"))
        known.take(ANNA, came(number * MINUTE, "socks"))
    assert TAUGHT_MAX <= len(heard) <= TAUGHT_MAX + 2
    known.show(ANNA, shown(999, 3 * DAY, "laces", "socks"))
    known.take(ANNA, came(3 * DAY, "socks"))
    assert heard.names[-1] == (999, "socks", True)


def test_what_is_kept_is_bounded() -> None:
    heard = Heard()
    known = Impressions(heard.append, lists_max=40)
    for number in range(100):
        for customer in range(5):
            known.show(b"%d" % customer, shown(number, number, "laces", "socks"))
    assert known.lists == 40
    known.take(b"4", came(10, "laces"))
    known.take(b"4", came(100 - LISTS_EACH, "laces"))
    assert [number for number, _, _ in heard.names] == [100 - LISTS_EACH]
    known.show(b"5", shown(200, 200, "laces", "socks"))
    assert known.lists == 40 + 1 - LISTS_EACH  # the customer went who did nothing for longest
    known.show(b"4", shown(1_000, 8 * DAY, "laces", "socks"))
    for customer in range(6):
        known.forget(b"%d" % customer)
    assert known.lists == 0


def test_who_is_forgotten_teaches_nothing_and_who_became_another_goes_on() -> None:
    known, heard = impressions()
    known.show(PHONE, shown(1, 0, "laces", "socks"))
    known.show(ANNA, shown(2, 1, "hat", "tent"))
    known.join(ANNA, PHONE)
    known.take(ANNA, came(2, "laces"))
    known.take(PHONE, came(2, "socks"))
    assert (heard.names, known.lists) == ([(1, "laces", True)], 2)
    known.forget(ANNA)
    known.take(ANNA, came(3, "tent"))
    assert (len(heard), known.lists) == (1, 0)


@pytest.mark.parametrize("said", [None, b"", b"{", b"[]", b'{"recommendation_id":"r","at":"never","items":[]}'])
def test_a_record_that_says_nothing_is_left_out(said: bytes | None) -> None:
    known, heard = impressions()
    known.show(ANNA, said)
    assert known.lists == 0
    known.show(ANNA, shown(1, 0, "laces", "socks").replace(b'"list":1.0', b'"list":"x"'))
    known.show(ANNA, shown(2, 0, "hat", "socks").replace(b'"list":2.0', b'"list":1e999'))
    for item in ("laces", "hat"):
        known.take(ANNA, came(1, item))
    assert heard == []


ITEMS = ["a", "b", "c", "d"]
SHOWS = st.lists(st.tuples(st.integers(0, 50), st.permutations(ITEMS)), max_size=6)
COMINGS = st.lists(
    st.tuples(st.integers(0, 50), st.sampled_from(ITEMS), st.sampled_from([VIEW, CART, ORDER])), max_size=8
)


@given(shows=SHOWS, comings=COMINGS, data=st.data())
def test_in_whatever_order_topics_are_read_and_wherever_it_starts_anew_nothing_teaches_twice(
    shows: list[tuple[int, list[str]]], comings: list[tuple[int, str, int]], data: st.DataObject
) -> None:
    shows, comings = sorted(shows), sorted(comings)
    first, second = (data.draw(st.integers(0, len(each))) for each in (shows, comings))
    heard = Heard()
    before = Impressions(heard.append)
    read(before, shows, comings, range(first), range(second), True, data)
    after = Impressions(heard.append)
    read(after, shows, comings, range(first), range(second), False, data)
    read(after, shows, comings, range(first, len(shows)), range(second, len(comings)), True, data)
    assert not [name for name, times in Counter(heard.names).items() if times > 1 and name[2]]

    in_time, without = impressions()
    whole = [(at, 0, n) for n, (at, _) in enumerate(shows)] + [(at, 1, n) for n, (at, _, _) in enumerate(comings)]
    for _, kind, n in sorted(whole):
        one(in_time, shows, comings, kind, n, True)
    assert {name[1] for name in heard.names} == {name[1] for name in without.names}


def read(
    known: Impressions,
    shows: list[tuple[int, list[str]]],
    comings: list[tuple[int, str, int]],
    some: range,
    others: range,
    new: bool,
    data: st.DataObject,
) -> None:
    """Each topic in its order, mixed anyhow."""
    places = data.draw(st.permutations([0] * len(some) + [1] * len(others)))
    topics = [iter(some), iter(others)]
    for kind in places:
        one(known, shows, comings, kind, next(topics[kind]), new)


def one(
    known: Impressions,
    shows: list[tuple[int, list[str]]],
    comings: list[tuple[int, str, int]],
    kind: int,
    n: int,
    new: bool,
) -> None:
    if kind == 0:
        at, items = shows[n]
        known.show(ANNA, shown(n, at * MINUTE, *items), new=new)
    else:
        at, item, strength = comings[n]
        known.take(ANNA, came(at * MINUTE, item, strength), new=new)
