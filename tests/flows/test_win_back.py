"""What the shop promises to those who have not ordered for long."""

from __future__ import annotations

from flows.win_back import win_back
from operators.flow import days, hours
from operators.simulate import Simulation, Told, simulate
from state.events import OrderCompleted


def ordered(number: int = 1) -> OrderCompleted:
    return OrderCompleted(order_id=f"o{number}")


def once() -> Simulation:
    return simulate(win_back).at(hours(0), ordered())


def test_sixty_days_after_the_last_order_comes_one_message_and_thirty_later_a_last_one() -> None:
    assert once().play_out() == [Told(days(60), "win_back"), Told(days(90), "win_back_offer")]


def test_an_order_starts_the_time_again() -> None:
    twice = once().at(days(60), ordered(2))
    assert twice.play_out() == [Told(days(120), "win_back"), Told(days(150), "win_back_offer")]


def test_who_orders_after_the_first_message_gets_no_offer_for_it() -> None:
    told = once().at(days(70), ordered(2)).play_out()
    assert [each.after for each in told] == [days(60), days(130), days(160)]
