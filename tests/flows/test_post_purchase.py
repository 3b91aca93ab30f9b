"""What the shop promises to those who ordered."""

from __future__ import annotations

from flows.post_purchase import post_purchase
from operators.flow import days, hours, minutes
from operators.simulate import Simulation, Told, simulate
from state.events import Event, OrderCancelled, OrderCompleted, OrderRefunded

THANKS = Told(hours(0), "order_thanks")
REVIEW = Told(days(14), "review_request")
CROSS_SELL = Told(days(30), "cross_sell")


def ordered(number: int = 1) -> OrderCompleted:
    return OrderCompleted(order_id=f"o{number}")


def once() -> Simulation:
    return simulate(post_purchase).at(hours(0), ordered())


def test_thanks_come_at_once_a_review_is_asked_for_after_two_weeks_and_more_is_shown_after_a_month() -> None:
    assert once().play_out() == [THANKS, REVIEW, CROSS_SELL]


def test_only_thanks_go_to_those_who_did_not_agree_to_hear_from_the_shop() -> None:
    decided = once().without_consent().decided()
    assert [(told.outcome, told.reason) for told in decided] == [
        ("send", ""),
        ("skip", "no_consent"),
        ("skip", "no_consent"),
    ]


def test_who_cancels_is_asked_for_nothing() -> None:
    for end in (OrderCancelled(order_id="o1"), OrderRefunded(order_id="o1")):
        assert once().at(days(14), end).play_out() == [THANKS]
        assert once().at(days(20), end).play_out() == [THANKS, REVIEW]


def test_each_order_has_its_own_passage() -> None:
    both = once().at(days(1), ordered(2)).at(days(2), OrderCancelled(order_id="o1"))
    assert both.play_out() == [
        THANKS,
        Told(days(1), "order_thanks"),
        Told(days(15), "review_request"),
        Told(days(31), "cross_sell"),
    ]


def test_orders_without_an_id_are_told_apart_too() -> None:
    nameless: Event = OrderCompleted()
    twice = simulate(post_purchase).at(hours(0), nameless).at(hours(1), nameless)
    assert [told.message for told in twice.play_out()] == [
        *("order_thanks", "order_thanks"),
        *("review_request", "review_request"),
        *("cross_sell", "cross_sell"),
    ]


def test_an_order_told_twice_is_thanked_for_once() -> None:
    assert once().at(minutes(5), ordered()).play_out() == [THANKS, REVIEW, CROSS_SELL]


def test_an_order_whose_cancellation_was_told_first_is_not_thanked_for() -> None:
    cancelled = simulate(post_purchase).at(hours(1), OrderCancelled(order_id="o1")).at(hours(1), ordered())
    assert cancelled.play_out() == []
    assert cancelled.at(hours(2), ordered()).play_out()[0] == Told(hours(2), "order_thanks")
