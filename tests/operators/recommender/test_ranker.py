"""What the recommender learns from a few visits, and that it stays within its bounds."""

from __future__ import annotations

import pickle

import pytest
from river.reco.base import Ranker

from operators.recommender import rows
from operators.recommender.ranker import CoVisits
from operators.recommender.rows import WIDTH, Row, from_bytes, to_bytes
from state.store_errors import StoreDamaged, StoreRefused

DAY = 86_400_000


def shop(*visits: str, at: int = 0) -> CoVisits:
    """Each visitor looked at these products, one letter each, a second apart."""
    ranker = CoVisits()
    for visitor, products in enumerate(visits):
        for product in products:
            at += 1000
            ranker.learn_one(f"v{visitor}", product, 1.0, {"at": at})
    return ranker


def shown(ranker: CoVisits, visitor: str, limit: int = 20) -> list[str]:
    return [product for product, _ in ranker.recommend(visitor, limit)]


def test_what_followed_for_others_is_shown_first() -> None:
    ranker = shop("ab", "ab", "ac", "ab")
    ranker.see_one("she", "a")
    assert [product for product in shown(ranker, "she") if product != "a"] == ["b", "c"]


def test_one_view_is_enough_for_a_new_product_to_be_found() -> None:
    ranker = shop("an")
    ranker.see_one("she", "a")
    assert "n" in shown(ranker, "she")


def test_what_came_before_is_found_too() -> None:
    ranker = shop("ab")
    ranker.see_one("she", "b")
    assert "a" in shown(ranker, "she")


def test_an_unknown_visitor_gets_what_sells() -> None:
    assert shown(shop("ab", "ac", "ad"), "nobody", 1) == ["a"]


def test_old_fashions_fade() -> None:
    ranker = shop(*["ab"] * 5)
    for visitor in range(3):
        for product in "ac":
            ranker.learn_one(f"later{visitor}", product, 1.0, {"at": 400 * DAY})
    ranker.see_one("she", "a")
    assert shown(ranker, "she", 2)[0] != "b"
    assert ranker.predict_one("she", "c") > ranker.predict_one("she", "b")


def test_an_order_counts_more_than_a_view() -> None:
    ranker = CoVisits()
    for visitor, (product, weight) in enumerate([("b", 1.0), ("c", 5.0), ("b", 1.0)]):
        ranker.learn_one(visitor, "a", 1.0, {"at": 0})
        ranker.learn_one(visitor, product, weight, {"at": 1000})
    ranker.see_one("she", "a")
    assert ranker.rank("she", ["b", "c"]) == ["c", "b"]


def test_it_is_a_ranker_of_rivers() -> None:
    ranker = shop("ab", "ab")
    assert isinstance(ranker, Ranker)
    assert ranker.rank("v0", {"a", "b", "z"})[-1] == "z"
    again: CoVisits = pickle.loads(pickle.dumps(ranker))
    assert again.recommend("v0") == ranker.recommend("v0")


def test_asking_for_unknown_visitors_and_products_remembers_nothing() -> None:
    ranker = shop("ab")
    before = len(pickle.dumps(ranker))
    for stranger in range(100):
        ranker.predict_one(f"stranger{stranger}", f"product{stranger}")
        ranker.recommend(f"stranger{stranger}")
    assert len(pickle.dumps(ranker)) <= before + 200


def test_a_score_is_what_recommend_says() -> None:
    ranker = shop("abc", "abd", "cab")
    ranker.see_one("she", "a")
    ranker.see_one("she", "b")
    for product, score in ranker.recommend("she"):
        assert ranker.predict_one("she", product) == pytest.approx(score)


def test_rows_are_bounded() -> None:
    row = Row()
    for number in range(10 * WIDTH):
        row.follow(f"p{number}", 1.0 + number)
    assert len(row.after) <= WIDTH * 5 // 4
    assert f"p{10 * WIDTH - 1}" in row.after
    assert row.after_total > sum(row.after.values())


def test_a_bot_moves_nobody_elses_recommendations_beyond_a_bound() -> None:
    ranker = shop(*["ab"] * 10)
    ranker.see_one("she", "a")
    before = dict(ranker.recommend("she"))
    for turn in range(20_000):
        for product in ("a", "z"):
            ranker.learn_one("bot", product, 1.0, {"at": 60_000 + turn})
    after = dict(ranker.recommend("she"))
    assert max(after, key=lambda product: after[product] if product != "a" else 0.0) == "b"
    assert after.get("z", 0.0) < 0.5 * after["b"]
    assert before["b"] > 0.0


def test_a_bot_does_not_say_for_everybody_which_guesses_to_trust() -> None:
    """Who looks at one thing again and again would say that what was seen is all that comes next."""
    products = "abcdefghij" * 3
    ranker = shop(*[products[start : start + 4] for start in range(20)] * 30)
    for product in "abcdefghij":
        ranker.see_one(product, product)
    before = {product: [item for item, _ in ranker.recommend(product)][:4] for product in "abcdefghij"}
    for turn in range(50_000):
        ranker.learn_one("bot", "a", 1.0, {"at": 60_000 + turn})
    assert {product: [item for item, _ in ranker.recommend(product)][:4] for product in before} == before


def test_a_row_comes_back_from_its_bytes() -> None:
    row = Row({"b": 2.5}, 2.5, {"ż": 0.5}, 0.5)
    read = from_bytes(to_bytes(row))
    assert (read.after, read.after_total, read.before) == ({"b": 2.5}, 2.5, {"ż": 0.5})


def test_newer_and_damaged_bytes_are_refused() -> None:
    stored = to_bytes(Row({"b": 2.5}, 2.5))
    with pytest.raises(StoreRefused, match="newer version"):
        from_bytes(bytes((rows.VERSION + 1,)) + stored[1:])
    with pytest.raises(StoreDamaged, match="not as it was written"):
        from_bytes(stored[:-3])
