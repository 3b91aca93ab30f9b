"""A champion at work: what is shown comes in its order, under the rules of the shop, and the log tells why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from operators.recommender import answers
from operators.recommender.lessons import Lessons
from operators.recommender.model import STATE, CoVisitation
from operators.recommender.ranking import CHAMPION, FORMAT, Weights, encode
from operators.recommender.reading import Learnt
from operators.recommender.reordering import Reordering
from operators.recommender.rules import Rule, Rules, boost, leave_out, pin
from operators.recommender.shelf import Shelf
from operators.recommender.visits import Visit
from state import events as ev
from state.item_store import ItemStore
from state.recommendations import Block, History, ItemFacts, Recommendation, Wanted
from state.rocks import Memory

NOW, MINUTE = 1_767_571_200_000, 60_000
HERS = History(touched={"shoes": NOW - MINUTE})
BACKWARDS = Weights(number=3, weights={"place": -1.0})
AS_THEY_COME = ["laces", "polish", "brush", "socks"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ItemStore]:
    store = ItemStore.open(tmp_path, Memory(8, 8))
    shelf = Shelf(store)
    model = CoVisitation(shelf)
    lessons = Lessons(model, shelf)
    for n in range(30):
        for place, product in enumerate(AS_THEY_COME):
            if n >= 6 * place:
                who, at = f"{n} {product}".encode(), NOW - 60 * MINUTE + n
                lessons.take(who, ev.ProductViewed(product_id="shoes", at=at, name="Shoes"))
                lessons.take(who, ev.ProductViewed(product_id=product, at=at + 1, name=product.title()))
    rows, facts = shelf.to_save()
    store.commit(rows, facts, {STATE: model.state_bytes()}, {}, {})
    yield store
    store.close()


def made(
    store: ItemStore, *rules: Rule, champion: bytes = b"", block: Block = "discover", limit: int = 4
) -> Recommendation:
    """As it is logged; a message and a newsletter show the same."""
    if champion:
        store.commit({}, {}, {CHAMPION: champion}, {})
    learnt = Learnt(lambda: store, rules=Rules(rules))
    learnt.refresh()
    told = answers.recommend(learnt, HERS, block, limit, id="r", now=NOW, customer="c", describe=True)
    wanted = Wanted(block=block, count=limit, at_least=0, history=HERS)
    message = answers.for_message(learnt, wanted, id="r", now=NOW, customer="c", message_id="m")
    assert told.fallback or message == msgspec.structs.replace(told, message_id="m")
    plain = answers.recommend(learnt, HERS, block, limit, id="r", now=NOW, customer="c")
    assert plain == msgspec.structs.replace(told, features=())
    return told


def items(made: Recommendation) -> list[str]:
    return [each.item for each in made.items]


def is_socks(item: str, _: ItemFacts) -> bool:
    return item == "socks"


def is_brush(item: str, _: ItemFacts) -> bool:
    return item == "brush"


def test_without_a_champion_all_comes_as_it_is_found_and_the_log_says_what_each_was_ranked_by(store: ItemStore) -> None:
    told = made(store)
    assert (items(told), told.model) == (AS_THEY_COME, "")
    assert [each["place"] for each in told.features] == [-0.0, -0.693, -1.099, -1.386]
    assert all("after" in each for each in told.features)
    assert [each.item for each in made(store, limit=2).items] == AS_THEY_COME[:2]
    assert made(store, limit=2).features == told.features[:2]


def test_a_champion_orders_what_is_shown_before_it_is_cut_and_answers_name_it(store: ItemStore) -> None:
    before = made(store)
    told = made(store, champion=encode(BACKWARDS), limit=2)
    assert (items(told), told.model) == (["socks", "brush"], "rerank-3")
    assert [each.because for each in told.items] == ["shoes", "shoes"]
    assert [each.score for each in told.items] == [each.score for each in before.items][:2]
    assert list(told.features) == list(before.features)[:1:-1]  # by where each came, not by where it stands
    similar = learnt_similar(store)
    assert (items(similar)[0], similar.model, similar.features) == ("socks", "rerank-3", ())


def learnt_similar(store: ItemStore) -> Recommendation:
    learnt = Learnt(lambda: store)
    learnt.refresh()
    return answers.similar(learnt, "shoes", 2, id="s", now=NOW)


def test_the_rules_of_the_shop_hold_over_any_champion(store: ItemStore) -> None:
    backwards = encode(BACKWARDS)
    assert items(made(store, leave_out(is_socks), champion=backwards)) == ["brush", "polish", "laces"]
    pinned = made(store, pin("polish"))
    assert items(pinned) == ["polish", "socks", "brush", "laces"]
    assert [bool(each) for each in pinned.features] == [False, True, True, True]
    # A boost goes on from the champion's order: of a little nothing moves, of much the brush goes first.
    assert items(made(store, boost(is_brush, by=1.01)))[:2] == ["socks", "brush"]
    assert items(made(store, boost(is_brush, by=50)))[:2] == ["brush", "socks"]


def test_what_she_touched_and_what_only_sells_is_in_no_ones_order(store: ItemStore) -> None:
    told = made(store, champion=encode(BACKWARDS), block="abandoned")
    assert (items(told), told.model, told.features) == (["shoes"], "", ())
    bought = made(store, block="buy_again")
    assert (bought.fallback, bought.model, bought.features) == (True, "", ())


@pytest.mark.parametrize("damaged", [b"{", b"{}" * 2, encode(Weights(format=FORMAT + 1, number=9)), b'{"number":-1}'])
def test_a_champion_that_cannot_be_read_orders_nothing(store: ItemStore, damaged: bytes) -> None:
    assert items(made(store, champion=damaged)) == AS_THEY_COME


def test_what_is_far_down_stays_there() -> None:
    ranked: Sequence[tuple[str, float]] = [(f"p{n}", 1.0 / (1 + n)) for n in range(50)]
    reordering = Reordering(CoVisitation(), BACKWARDS, NOW)
    found = list(reordering(Visit(), ranked))
    assert [item for item, _ in found] == [f"p{n}" for n in (*range(39, -1, -1), *range(40, 50))]
    assert [score for _, score in found] == [score for _, score in ranked]
    assert len(reordering.described([item for item, _ in found])) == 24
