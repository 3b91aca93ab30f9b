"""However much may not be shown, the list is full while there is enough, and an answer says what stands in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from operators.recommender import answers
from operators.recommender.lessons import Lessons
from operators.recommender.model import STATE, CoVisitation
from operators.recommender.reading import Learnt
from operators.recommender.rules import Rule, Rules, boost, leave_out, pin
from operators.recommender.shelf import Shelf
from operators.recommender.visits import Visit
from state import events as ev
from state.item_store import ItemStore
from state.recommendations import Block, History, ItemFacts, Recommendation, Wanted
from state.rocks import Memory

NOW, MINUTE = 1_767_571_200_000, 60_000
PRODUCTS = 160  # more than lead, and more than are looked at first
SOLD = [f"p{number:03}" for number in range(PRODUCTS)]
LEFT = SOLD[-10:]
HERS = History(touched={"shoes": NOW - MINUTE})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ItemStore]:
    """After shoes people come to any product, the lower its number the more; a hat that nobody followed is new."""
    store = ItemStore.open(tmp_path_factory.mktemp("items"), Memory(8, 8))
    shelf = Shelf(store)
    model = CoVisitation(shelf)
    lessons = Lessons(model, shelf)
    for number, product in enumerate(SOLD):
        for n in range(4 - 3 * number // PRODUCTS):
            who, at = f"{product} {n}".encode(), NOW - 60 * MINUTE + n
            lessons.take(who, ev.ProductViewed(product_id="shoes", at=at))
            category = "hats" if number % 10 == 9 else "rest"
            lessons.take(who, ev.ProductViewed(product_id=product, at=at + 1, name=product, category=category))
    lessons.take(b"first", ev.ProductViewed(product_id="new hat", at=NOW - MINUTE, category="hats"))
    rows, facts = shelf.to_save()
    store.commit(rows, facts, {STATE: model.state_bytes()}, {})
    yield store
    store.close()


def is_not_left(item: str, facts: ItemFacts) -> bool:
    return item not in LEFT


def is_last(item: str, facts: ItemFacts) -> bool:
    return item == LEFT[-1]


def answered(
    store: ItemStore,
    *rules: Rule,
    history: History = HERS,
    block: Block = "discover",
    limit: int = 5,
    exclude: Iterable[str] = (),
) -> Recommendation:
    learnt = Learnt(lambda: store, rules=Rules(rules))
    learnt.refresh()
    return answers.recommend(learnt, history, block, limit, id="r", now=NOW, exclude=frozenset(exclude))


def items(told: Recommendation) -> list[str]:
    return [each.item for each in told.items]


@pytest.mark.parametrize("block", ["discover", "abandoned", "buy_again"])
@pytest.mark.parametrize("history", [HERS, History()])
def test_what_may_be_shown_is_found_below_all_that_may_not(store: ItemStore, block: Block, history: History) -> None:
    if (block, history) == ("abandoned", HERS):
        return  # what she left is not for a list to be filled up
    told = answered(store, leave_out(is_not_left), block=block, history=history)
    assert (len(told.items), set(items(told)) - set(LEFT)) == (5, set())
    assert [each.score for each in told.items] == sorted((each.score for each in told.items), reverse=True)
    assert set(items(answered(store, leave_out(is_not_left), block=block, history=history, limit=12))) == set(LEFT)


def test_what_a_caller_shows_already_makes_room_however_much_it_is(store: ItemStore) -> None:
    told = answered(store, exclude=SOLD[:-10])
    assert (len(told.items), set(items(told)) - set(LEFT)) == (5, set())


def test_the_rules_of_the_shop_look_at_what_may_be_shown(store: ItemStore) -> None:
    assert items(answered(store, leave_out(is_not_left), boost(is_last, by=1000)))[0] == LEFT[-1]


def test_what_sells_stands_in_and_the_answer_says_so(store: ItemStore) -> None:
    told = answered(store, history=History())
    assert (told.fallback, told.strategy, {each.reason for each in told.items}) == (True, "popularity", {"popular"})
    known = answered(store)
    assert (known.fallback, known.strategy) == (False, "co_visitation")
    learnt = Learnt(lambda: store)
    learnt.refresh()
    wanted = Wanted(block="discover", count=3, at_least=1, history=History())
    made = answers.for_message(learnt, wanted, id="r", now=NOW, customer="c", message_id="m")
    assert made is not None
    assert (made.fallback, made.strategy) == (True, "popularity")


@pytest.mark.parametrize("block", ["discover", "abandoned"])
def test_what_sells_stands_in_behind_what_is_pinned(store: ItemStore, block: Block) -> None:
    pinned = pin("new hat", SOLD[1], blocks=["discover", "abandoned"])
    told = answered(store, pinned, history=History(), block=block, limit=4)
    assert (told.fallback, told.strategy) == (True, "popularity")
    assert items(told) == ["new hat", SOLD[1], *(item for item in items(told)[2:] if item != SOLD[1])]
    assert len(set(items(told))) == 4
    assert items(answered(store, pinned, history=History(), block=block, limit=2)) == ["new hat", SOLD[1]]
    assert answered(store, pinned, block="discover").strategy == "co_visitation"


@pytest.mark.parametrize("block", ["discover", "abandoned"])
def test_what_she_bought_never_stands_in(store: ItemStore, block: Block) -> None:
    bought = History(bought={item: [NOW - MINUTE] for item in ["shoes", *SOLD]}, touched={"shoes": NOW - 2 * MINUTE})
    assert items(answered(store, history=bought, block=block)) in ([], ["new hat"])


def test_of_a_new_product_nothing_is_known_but_its_category(store: ItemStore) -> None:
    told = answered(store, history=History(touched={"new hat": NOW - MINUTE}))
    assert (told.fallback, items(told)) == (True, SOLD[9:59:10])
    learnt = Learnt(lambda: store)
    learnt.refresh()
    alike = answers.similar(learnt, "new hat", 3, id="s", now=NOW)
    assert (alike.strategy, items(alike)) == ("popularity", SOLD[9:39:10])


def test_in_the_first_hours_of_a_shop_what_sells_is_as_fresh_as_what_is_known() -> None:
    model = CoVisitation()
    for number in range(40):
        visit = Visit()
        model.learn(visit, f"p{number}", NOW + number)
        model.learn(visit, "best", NOW + number)
        model.popular()  # somebody asks, from the very beginning
    leaders = model.popular()
    assert max(leaders, key=lambda item: leaders[item]) == "best"
    assert len(leaders) > 20
