"""What is kept of answers: the newest, for a while, and never more than there is room for."""

from __future__ import annotations

from flows.serve_kept import KEPT_SECONDS, KEPT_SIMILAR_SECONDS, Kept, KeptAnswers, Key
from state.recommendations import Recommendation, Recommended

NOTHING: frozenset[str] = frozenset()


def kept(at: float, products: int = 1, customer: str = "anna") -> Kept:
    items = tuple(Recommended(item=f"p{number}", score=1.0, reason="popular") for number in range(products))
    answer = Recommendation(
        recommendation_id="r", at="", customer=customer, block="discover", strategy="", fallback=False, items=items
    )
    return Kept({}, at, answer)


def key(who: str, *excluded: str) -> Key:
    return who, "discover", 12, frozenset(excluded)


def test_an_answer_stands_for_a_while_and_one_for_nobody_for_a_shorter_one() -> None:
    answers = KeptAnswers()
    answers.put(key("anna"), kept(0))
    answers.put(key("hat"), kept(0, customer=""))
    assert answers.get(key("anna"), KEPT_SECONDS - 0.1)
    assert answers.get(key("anna"), KEPT_SECONDS) is None
    assert answers.get(key("hat"), KEPT_SIMILAR_SECONDS) is None
    assert answers.get(key("berta"), 0) is None


def test_what_is_too_old_goes_when_something_comes() -> None:
    answers = KeptAnswers()
    for number in range(100):
        answers.put(key(f"c{number}"), kept(number / 100))
    answers.put(key("anna"), kept(KEPT_SECONDS + 0.5))
    assert len(answers) == answers.products == 50
    answers.put(key("anna"), kept(3 * KEPT_SECONDS))
    assert len(answers) == answers.products == 1


def test_long_answers_and_long_lists_of_what_is_left_out_take_the_place_of_many() -> None:
    answers = KeptAnswers(products_max=250)
    for number in range(50):
        answers.put(key(f"c{number}"), kept(0, products=100))
    assert (len(answers), answers.products) == (2, 200)
    answers.put(key("anna", *(f"x{number}" for number in range(149))), kept(0))
    assert (len(answers), answers.products) == (2, 250)
    assert answers.get(key("c49"), 0)


def test_no_more_are_kept_than_there_may_be_however_short_they_are() -> None:
    answers = KeptAnswers(answers_max=3)
    for number in range(10):
        answers.put(key(f"c{number}"), kept(0))
    answers.put(key("c7"), kept(1, products=2))
    assert (len(answers), answers.products) == (3, 4)
    answers.put(key("anna"), kept(1))
    assert [bool(answers.get(key(who), 1)) for who in ("c7", "c8", "c9", "anna")] == [True, False, True, True]
