"""Three blocks: what she left, what she buys again, what she has not seen."""

from __future__ import annotations

from operators.recommender.blocks import DAY_MS, choose, popular
from operators.recommender.model import CoVisitation
from operators.recommender.visits import Visit
from state.recommendations import History

NOW = 20_000 * DAY_MS


def anything(_: str) -> bool:
    return True


def shop() -> CoVisitation:
    """Where shoes lead to laces, laces to polish, and everybody buys bread."""
    model = CoVisitation()
    for number in range(30):
        visit = Visit()
        for product in ("shoes", "laces", "polish"):
            model.learn(visit, product, NOW - DAY_MS + number)
        for _ in range(5):
            model.learn(Visit(), "bread", NOW - DAY_MS + number)
    return model


def test_discover_shows_what_others_came_to_and_nothing_she_knows() -> None:
    history = History(touched={"shoes": NOW}, bought={"polish": [NOW - DAY_MS]})
    found = choose("discover", shop(), history, 3, NOW, anything)
    assert found[0].item == "laces"
    assert (found[0].reason, found[0].because) == ("seen_together", "shoes")
    assert not {"shoes", "polish"} & {choice.item for choice in found}
    assert [choice.reason for choice in found if choice.item == "bread"] == ["popular"]


def test_what_is_not_for_sale_makes_room_for_what_is() -> None:
    found = choose("discover", shop(), History(touched={"shoes": NOW}), 1, NOW, lambda item: item != "laces")
    assert [choice.item for choice in found] == ["polish"]


def test_abandoned_is_what_she_touched_and_did_not_buy_the_cart_first() -> None:
    touched = {"hat": NOW - 2 * DAY_MS, "laces": NOW - DAY_MS, "shoes": NOW - DAY_MS, "bread": NOW - DAY_MS}
    history = History(touched=touched, carted=frozenset({"laces"}), bought={"bread": [NOW]})
    found = choose("abandoned", shop(), history, 5, NOW, anything)
    assert [(choice.item, choice.reason) for choice in found] == [
        ("laces", "in_cart"),
        ("shoes", "viewed"),
        ("hat", "viewed"),
    ]


def test_what_she_looked_at_again_after_buying_it_is_abandoned_again() -> None:
    history = History(touched={"hat": NOW}, bought={"hat": [NOW - DAY_MS]})
    assert [choice.item for choice in choose("abandoned", shop(), history, 5, NOW, anything)] == ["hat"]


def test_buy_again_prefers_what_she_buys_often_and_is_due() -> None:
    often = [NOW - days * DAY_MS for days in (90, 60, 30)]
    just = [NOW - days * DAY_MS for days in (61, 31, 1)]
    history = History(bought={"once": [NOW - 30 * DAY_MS], "milk": often, "soap": just})
    assert [choice.item for choice in choose("buy_again", shop(), history, 3, NOW, anything)] == [
        "milk",
        "once",
        "soap",
    ]


def test_of_whom_nothing_is_known_is_shown_what_sells() -> None:
    assert popular(shop(), 1, anything)[0].item == "bread"
    assert choose("discover", shop(), History(), 1, NOW, anything)[0].item == "bread"
    assert choose("buy_again", shop(), History(), 5, NOW, anything) == []
