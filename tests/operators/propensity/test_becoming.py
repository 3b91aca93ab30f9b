"""A visitor who says who she is teaches as one visitor, not as two."""

from __future__ import annotations

from collections.abc import Iterator

from operators.propensity.habits import DAY_MS, HOUR_MS, VISIT_MS
from operators.propensity.lessons import BUYS_MS, REMEMBERED_MS, Lessons
from operators.propensity.visitors import Question
from state.aliases import CLAIMERS_MAX
from state.events import Event, OrderCompleted
from tests.operators.propensity.shops import T0, hash_of, shop, view

HER, PHONE = b"known", b"phone"


def strangers(days: int) -> Iterator[tuple[bytes, Event, bool]]:
    """The shop's visitors; whether it is the first thing one does."""
    came: set[bytes] = set()
    for who, event in shop(days):
        yield who, event, who not in came
        came.add(who)


def test_a_shop_whose_visitors_become_known_teaches_what_it_would_had_they_been_known_from_the_start() -> None:
    as_known, becoming = Lessons("PLN"), Lessons("PLN")
    for who, event, is_first in strangers(60):
        as_known.take(who, event)
        phone = hash_of(int.from_bytes(who[4:], "big") + 1_000_000)
        becoming.take(phone if is_first else becoming.visitors.whose(phone), event)
        if is_first:
            assert becoming.become(who, phone, event.at + 1)
        for each in (as_known, becoming):
            each.pass_time(event.at - HOUR_MS)
    assert as_known.buys.outcomes > 1_000
    assert becoming.forecasts() == as_known.forecasts()


def test_what_the_telephone_was_asked_about_she_answers_and_the_other_way_round() -> None:
    ordered_at = T0 + 3 * DAY_MS
    answers: list[bool] = []

    def on_answer(target: str, question: Question, came: bool) -> None:
        if question.at < ordered_at:
            answers.append(came)

    lessons = Lessons("PLN", on_answer=on_answer)
    lessons.take(PHONE, view(T0))
    lessons.take(HER, view(T0 + DAY_MS))
    lessons.become(HER, PHONE, T0 + 2 * DAY_MS)
    lessons.take(HER, OrderCompleted(at=ordered_at))
    lessons.pass_time(ordered_at + BUYS_MS)
    assert answers == [True] * 4  # two visits, after each the visit itself and a day; two for nobody else


def test_what_the_telephone_does_later_is_hers_until_another_says_so() -> None:
    lessons = Lessons("PLN")
    for number in range(CLAIMERS_MAX):
        who = hash_of(number)
        assert lessons.become(who, PHONE, T0 + number)
        assert lessons.visitors.whose(PHONE) == who
    assert not lessons.become(hash_of(99), PHONE, T0 + 99), "so many people are not one"
    assert lessons.visitors.whose(PHONE) == PHONE


def test_who_is_known_becomes_nobody_else() -> None:
    lessons = Lessons("PLN")
    lessons.become(HER, PHONE, T0)
    assert not lessons.become(b"other", HER, T0 + 1)
    assert not lessons.become(PHONE, b"other", T0 + 1), "an alias of an alias does not exist"


def test_nothing_is_remembered_for_ever_of_who_became_whom() -> None:
    lessons = Lessons("PLN")
    lessons.take(PHONE, view(T0))
    lessons.become(HER, PHONE, T0 + VISIT_MS)
    lessons.pass_time(T0 + 2 * REMEMBERED_MS)
    assert lessons.visitors.whose(PHONE) == PHONE
    lessons.pass_time(T0 + 400 * DAY_MS)
    assert len(lessons.visitors) == 0
