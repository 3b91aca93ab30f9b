"""What is foretold of visitors: by a shop whose truth is known, and through exports and restarts."""

from __future__ import annotations

import random

import msgspec
import pytest

from operators.propensity.contest import OUTCOMES_MIN, Contest, Standing
from operators.propensity.features import features
from operators.propensity.forecasts import FORMAT, Forecasts, from_bytes, to_bytes
from operators.propensity.habits import DAY_MS, HOUR_MS, VISIT_MS, Habits, joined
from operators.propensity.lessons import BUYS_MS, Lessons, Notes
from operators.propensity.visitors import Question, Visitors
from state.events import EmailDelivered, OrderCompleted
from tests.operators.propensity.shops import (
    LEFT_A_CART,
    LEFT_CART,
    LOOKED,
    OTHERS,
    T0,
    cart,
    habits,
    hash_of,
    learn,
    shop,
    view,
)


@pytest.fixture(scope="module")
def learnt() -> Forecasts:
    lessons = Lessons("PLN")
    learn(lessons, 150)
    return lessons.forecasts()


def test_who_left_a_cart_is_as_likely_to_buy_as_she_really_is(learnt: Forecasts) -> None:
    assert learnt.chance_to_buy(LEFT_A_CART, T0 + HOUR_MS) == pytest.approx(LEFT_CART, abs=0.08)
    assert learnt.chance_to_buy(LOOKED, T0 + HOUR_MS) == pytest.approx(OTHERS, abs=0.05)


def test_who_has_been_away_for_a_week_is_less_likely_to_buy(learnt: Forecasts) -> None:
    assert learnt.chance_to_buy(LEFT_A_CART, T0 + 8 * DAY_MS) < 0.1


def test_who_only_looked_is_likelier_to_stay_away(learnt: Forecasts) -> None:
    looked, left = (learnt.chance_to_stay_away(each, T0 + HOUR_MS) for each in (LOOKED, LEFT_A_CART))
    assert left < 0.15 < 0.35 < looked < 0.6


def test_an_order_is_expected_to_be_worth_what_such_orders_were(learnt: Forecasts) -> None:
    assert learnt.expected_order(LEFT_A_CART, T0 + 2 * DAY_MS) == pytest.approx(9_000, rel=0.2)
    assert Forecasts().expected_order(LEFT_A_CART, T0) == 0


def test_the_best_hour_is_hers_where_she_is_known_and_else_the_shops(learnt: Forecasts) -> None:
    assert learnt.best_hour(Habits()) in (19, 20)
    early = habits(*(view(T0 + 12 * HOUR_MS + day * DAY_MS) for day in range(30)))
    assert learnt.best_hour(early) == 8


def test_nothing_is_learnt_from_an_answer_before_its_time_is_over() -> None:
    answers: list[tuple[str, bool]] = []
    lessons = Lessons("PLN", on_answer=lambda target, _, came: answers.append((target, came)))
    lessons.take(b"who!", view(T0))
    lessons.take(b"who!", OrderCompleted(at=T0 + DAY_MS))
    asked_at = T0 + VISIT_MS
    lessons.pass_time(asked_at + BUYS_MS - 1)
    assert answers == []
    lessons.pass_time(asked_at + BUYS_MS)
    assert answers == [("buys", True)]
    lessons.pass_time(T0 + 400 * DAY_MS)
    assert len(lessons.visitors) == 0  # nothing is kept of who stayed away
    assert [came for target, came in answers if target == "stays_away"].count(False) == 1  # she came for her order


def test_an_order_within_the_visit_is_no_answer_to_what_follows_the_visit() -> None:
    answers: list[tuple[str, bool]] = []
    lessons = Lessons("PLN", on_answer=lambda target, _, came: answers.append((target, came)))
    lessons.take(b"who!", view(T0))
    lessons.take(b"who!", OrderCompleted(at=T0 + 60_000))
    lessons.pass_time(T0 + 9 * DAY_MS)
    assert answers == [("buys", False), ("buys", False)]


def test_a_learner_that_was_stopped_goes_on_as_if_it_had_not_been() -> None:
    events = list(shop(40))
    through, stopped = Lessons("PLN"), Lessons("PLN")
    stored: dict[bytes, bytes] = {}
    for number, (who, event) in enumerate(events):
        if number % 500 == 499:
            for whose, kept in stopped.visitors.to_save().items():
                if kept is None:
                    stored.pop(whose, None)
                else:
                    stored[whose] = kept
            notes = msgspec.msgpack.decode(msgspec.msgpack.encode(stopped.notes()), type=Notes)
            stopped = Lessons("PLN", notes)
            for whose, kept in stored.items():
                stopped.visitors.restore(whose, kept)
        for each in (through, stopped):
            each.pass_time(event.at - 1)
            each.take(who, event)
    same = to_bytes(stopped.forecasts())
    assert stopped.buys.outcomes > 500
    assert from_bytes(same).buys.weights == pytest.approx(through.forecasts().buys.weights, abs=1e-9)


def test_a_published_model_says_what_the_learner_said() -> None:
    lessons = Lessons("PLN")
    learn(lessons, 30)
    published = from_bytes(to_bytes(lessons.forecasts()))
    seen = features(LEFT_A_CART, T0 + HOUR_MS)
    assert published.buys.chance(seen) == pytest.approx(lessons.buys.chance(seen), abs=1e-12)


def test_a_model_of_a_newer_version_is_refused() -> None:
    with pytest.raises(ValueError, match="newer version"):
        from_bytes(to_bytes(Forecasts(format=FORMAT + 1)))
    with pytest.raises(ValueError, match="not a model"):
        from_bytes(b"{")


def test_of_too_many_visitors_half_go_whenever_they_came() -> None:
    visitors = Visitors(100)
    for number in range(1_000):
        visitors.get(hash_of(number))
    assert len(visitors) <= 100
    again = [number for number in range(1_000) if visitors.get(hash_of(number)) is not None]
    assert {number // 250 for number in again} == {0, 1, 2, 3}


def test_a_model_is_published_when_it_is_better_and_not_by_chance() -> None:
    dice, contest = random.Random(3), Contest(Standing())
    seen = features(LOOKED, T0 + HOUR_MS)
    for _ in range(4 * OUTCOMES_MIN):  # a model that knows nothing but the share
        contest.judge("buys", seen, 0.3 + dice.uniform(-0.1, 0.1), dice.random() < 0.3)
        assert not contest.is_decided()
    for _ in range(8 * OUTCOMES_MIN):
        came = dice.random() < 0.3
        contest.judge("buys", seen, 0.6 if came else 0.15, came)
    assert contest.is_decided()
    lessons = Lessons("PLN")
    learn(lessons, 30)
    champion = contest.publish(lessons.forecasts())
    assert champion.number == 1
    assert champion.buys.outcomes == lessons.buys.outcomes
    assert champion.stays_away.outcomes == 0  # nothing spoke for that one yet
    assert not contest.is_decided()


def test_a_shop_that_changes_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    dice, contest = random.Random(4), Contest(Standing())
    seen = features(LOOKED, T0 + HOUR_MS)
    for _ in range(2_000):
        contest.judge("buys", seen, 0.1, dice.random() < 0.1)
    assert contest.score("buys").drifts == 0
    for _ in range(2_000):
        contest.judge("buys", seen, 0.1, dice.random() < 0.4)
    assert contest.score("buys").drifts >= 1
    assert "predictions drift" in caplog.text


def test_two_who_are_one_have_done_what_both_did() -> None:
    one, other = habits(view(T0), cart(T0 + 60_000)), habits(view(T0 + DAY_MS), OrderCompleted(at=T0 + 2 * DAY_MS))
    both = joined(one, other)
    assert (both.visits, both.views, both.carts, both.orders) == (3, 2, 1, 1)
    assert (both.first_at, both.last_at) == (T0, T0 + 2 * DAY_MS)
    assert joined(other, one) == both
    assert both.fresh_views == pytest.approx(2**-1.0 + 2**-0.5)


def test_mail_that_arrives_is_no_coming() -> None:
    lessons = Lessons("PLN")
    lessons.take(b"who!", EmailDelivered(at=T0, message_id="m"))
    assert len(lessons.visitors) == 0


def test_a_question_keeps_her_habits_as_they_were() -> None:
    asked: list[Question] = []
    lessons = Lessons("PLN", on_answer=lambda _, question, __: asked.append(question))
    for day in range(3):
        lessons.take(b"who!", view(T0 + day * DAY_MS))
    lessons.pass_time(T0 + 20 * DAY_MS)
    assert [each.habits.visits for each in asked[:3]] == [1, 2, 3]
