"""What a shop wants of its recommendations: pinned, boosted, buried, left out, not too much alike, in her market."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flows.catalog import CatalogError, load
from operators.faults import FlowError
from operators.recommender import answers
from operators.recommender.histories import market_of
from operators.recommender.lessons import Lessons
from operators.recommender.model import STATE, CoVisitation
from operators.recommender.reading import Learnt
from operators.recommender.rules import (
    NO_RULES,
    Rule,
    Rules,
    at_most_alike,
    at_most_shown,
    boost,
    bury,
    leave_out,
    pin,
)
from operators.recommender.shelf import Shelf
from operators.simulate import happening
from state import events as ev
from state.item_store import ItemStore
from state.recommendations import Block, History, ItemFacts, Shown, Wanted
from state.rocks import Memory

NOW = 1_767_571_200_000
MINUTE, DAY = 60_000, 86_400_000
HERS = History(touched={"shoes": NOW - MINUTE}, market="PL")
CATEGORIES = {"laces": "care", "polish": "care", "brush": "care", "socks": "clothes", "voucher": "vouchers"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ItemStore]:
    """After shoes most look at laces, some at polish, a brush, socks; few at a voucher, which is sold in Germany."""
    store = ItemStore.open(tmp_path_factory.mktemp("items"), Memory(8, 8))
    shelf = Shelf(store)
    model = CoVisitation(shelf)
    lessons = Lessons(model, shelf)
    for n in range(30):
        for place, product in enumerate(("laces", "polish", "brush", "socks", "voucher")):
            if n >= 5 * place:
                who, at = f"{n} {product}".encode(), NOW - 60 * MINUTE + n
                lessons.take(who, ev.ProductViewed(product_id="shoes", at=at, name="Shoes"))
                category = CATEGORIES[product]
                next_one = ev.ProductViewed(product_id=product, at=at + 1, name=product.title(), category=category)
                lessons.take(who, next_one)
    lessons.take(b"", ev.ProductChanged(product_id="voucher", at=NOW, markets=("DE",)))
    lessons.take(b"", ev.ProductChanged(product_id="hat", at=NOW, name="Hat", available=True))
    lessons.take(b"", ev.ProductChanged(product_id="coat", at=NOW, name="Coat", available=False))
    rows, facts = shelf.to_save()
    store.commit(rows, facts, {STATE: model.state_bytes()}, {}, {})
    yield store
    store.close()


def shown(
    store: ItemStore, *rules: Rule, history: History = HERS, block: Block = "discover", limit: int = 3
) -> list[str]:
    """What the door answers; a message shows the same."""
    learnt = Learnt(lambda: store, rules=Rules(rules))
    learnt.refresh()
    told = answers.recommend(learnt, history, block, limit, id="r", now=NOW)
    wanted = Wanted(block=block, count=limit, at_least=0, history=history)
    message = answers.for_message(learnt, wanted, id="r", now=NOW, customer="c", message_id="m")
    assert message is not None
    assert [each.item for each in message.items] == [each.item for each in told.items]
    return [each.item for each in told.items]


def is_care(_: str, facts: ItemFacts) -> bool:
    return facts.category == "care"


def is_clothes(_: str, facts: ItemFacts) -> bool:
    return facts.category == "clothes"


def test_without_rules_the_likeliest_stand_first(store: ItemStore) -> None:
    assert shown(store) == ["laces", "polish", "brush"]


def test_what_is_pinned_stands_first_learnt_or_not_unless_it_cannot_be_shown(store: ItemStore) -> None:
    assert shown(store, pin("hat", "coat", "polish")) == ["hat", "polish", "laces"]
    bought = History(touched=HERS.touched, bought={"hat": [NOW]})
    assert shown(store, pin("hat"), history=bought) == ["laces", "polish", "brush"]
    assert shown(store, pin("hat", blocks=["buy_again"])) == ["laces", "polish", "brush"]


def test_what_is_boosted_goes_up_and_what_is_buried_behind_all_others(store: ItemStore) -> None:
    assert shown(store, boost(is_clothes, by=100))[0] == "socks"
    assert shown(store, bury(is_care)) == ["socks", "brush", "laces"], "behind, but there"
    assert shown(store, bury(is_care), block="abandoned") == ["shoes"]


def test_what_is_left_out_makes_room(store: ItemStore) -> None:
    assert shown(store, leave_out(is_care)) == ["socks"]


def after(times: int, *items: str, at: int = NOW - DAY, **did: Any) -> History:
    """Hers, when these were shown to her so often."""
    return msgspec.structs.replace(HERS, shown={item: Shown(times, at) for item in items}, **did)


def test_what_was_shown_too_often_makes_room_and_comes_back_where_there_is_nothing_else(store: ItemStore) -> None:
    assert shown(store, history=after(2, "laces")) == ["laces", "polish", "brush"]
    assert shown(store, history=after(3, "laces", "polish")) == ["brush", "socks", "laces"]
    assert shown(store, history=after(3, "laces", "polish"), limit=2) == ["brush", "socks"]
    assert shown(store, at_most_alike(1), history=after(3, "laces")) == ["polish", "socks", "brush"]


def test_what_rests_comes_back_in_time_or_when_she_came_to_it(store: ItemStore) -> None:
    rested = after(3, "laces", at=NOW - 14 * DAY)
    assert shown(store, history=rested) == ["laces", "polish", "brush"]
    came = after(3, "polish", bought={"polish": [NOW]})
    assert Rules().resting("discover", came, NOW) == frozenset()
    assert Rules().resting("discover", after(3, "polish"), NOW) == {"polish"}


def test_a_shop_says_how_often_and_how_long_or_that_nothing_rests(store: ItemStore) -> None:
    seen = after(3, "laces")
    assert shown(store, at_most_shown(5), history=seen)[0] == "laces"
    assert shown(store, at_most_shown(None), history=after(99, "laces"))[0] == "laces"
    assert shown(store, at_most_shown(1, rest=timedelta(hours=30)), history=after(1, "laces"))[0] == "polish"
    assert shown(store, at_most_shown(1, rest=timedelta(hours=10)), history=after(1, "laces"))[0] == "laces"
    assert shown(store, at_most_shown(1, blocks=["abandoned"]), history=seen)[0] == "polish", "as if nothing was said"
    assert shown(store, pin("laces"), history=seen)[0] == "laces", "what the shop wants most does not rest"


def test_what_sells_rests_too_where_it_is_said_of_the_block(store: ItemStore) -> None:
    learnt = Learnt(lambda: store, rules=Rules((at_most_shown(3, blocks=["abandoned"]),)))
    learnt.refresh()
    first, second = answers.recommend(learnt, History(), "abandoned", 2, id="r", now=NOW).items
    seen = History(shown={first.item: Shown(3, NOW)})
    told = answers.recommend(learnt, seen, "abandoned", 1, id="r", now=NOW)
    assert (told.fallback, told.items) == (True, (second,))


@pytest.mark.parametrize(
    ("at_least", "rests", "items"),
    [
        (1, ("laces", "polish", "brush"), ["socks", "laces", "polish"]),
        (2, ("laces", "polish", "brush"), None),
        (1, ("laces", "polish", "brush", "socks"), None),
        (0, ("laces", "polish", "brush", "socks"), ["laces", "polish", "brush"]),
    ],
)
def test_a_message_is_for_what_she_was_not_shown_too_often(
    store: ItemStore, at_least: int, rests: tuple[str, ...], items: list[str] | None
) -> None:
    learnt = Learnt(lambda: store)
    learnt.refresh()
    wanted = Wanted(block="discover", count=3, at_least=at_least, history=after(3, *rests))
    made = answers.for_message(learnt, wanted, id="r", now=NOW, customer="c", message_id="m")
    assert (None if made is None else [each.item for each in made.items]) == items


def test_of_one_category_only_so_many_stand_before_others(store: ItemStore) -> None:
    assert shown(store, at_most_alike(1)) == ["laces", "socks", "polish"]
    assert shown(store, at_most_alike(2)) == ["laces", "polish", "socks"]


def test_what_is_not_sold_in_her_market_is_not_shown_and_where_nothing_is_known_it_is(store: ItemStore) -> None:
    assert "voucher" not in shown(store, limit=20)
    for market in ("DE", ""):
        history = History(touched=HERS.touched, market=market)
        assert "voucher" in shown(store, history=history, limit=20)


@pytest.mark.parametrize(
    ("locale", "market"), [("pl-PL", "PL"), ("de_at", "AT"), ("zh-Hans-CN", "CN"), ("pl", ""), ("", ""), ("es-419", "")]
)
def test_her_market_is_the_country_of_her_locale(locale: str, market: str) -> None:
    assert market_of(locale) == market


@pytest.mark.parametrize(
    ("told", "read"), [(["pl", "DE", "PL"], ("DE", "PL")), ([], ()), (None, None), ("PL", None), ([1, "Poland"], ())]
)
def test_the_catalogue_says_where_a_product_is_sold(told: Any, read: Any) -> None:
    changed = happening("Product Changed", product_id="p", markets=told)
    assert isinstance(changed, ev.ProductChanged)
    assert changed.markets == read


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: pin(), "name 1 to 24 products"),
        (lambda: pin("a", "a"), "each once"),
        (lambda: boost(is_care, by=0.5), "not above 1"),
        (lambda: bury(is_care, by=2), "not between 0 and 1"),
        (lambda: leave_out(lambda _, __: True), "a condition without a name"),
        (lambda: at_most_alike(0), "there is nothing to show"),
        (lambda: at_most_shown(0), "not 1 to 100"),
        (lambda: at_most_shown(3, rest=timedelta(days=90)), "up to 60 days"),
        (lambda: at_most_shown(3, blocks=["similar"]), "not shown to anybody we know"),
        (lambda: pin("a", blocks=["magic"]), "there is no such block"),  # type: ignore[list-item]
    ],
)
def test_a_rule_that_says_nothing_is_refused_at_import(make: Any, fault: str) -> None:
    with pytest.raises(FlowError, match=fault):
        make()


def test_rules_stand_beside_the_flows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "ruled.py").write_text(
        "from operators.recommender.rules import at_most_alike\nFLOWS = []\nRULES = [at_most_alike(2)]\n"
    )
    (tmp_path / "misruled.py").write_text("FLOWS = []\nRULES = ['pin p7']\n")
    assert load("ruled").rules == Rules((at_most_alike(2),))
    assert load("flows").rules == NO_RULES
    with pytest.raises(CatalogError, match="RULES is no list of rules"):
        load("misruled")
