"""What the shop promises to those who agree to hear from it."""

from __future__ import annotations

from flows.welcome import welcome
from operators.flow import days, hours
from operators.simulate import Simulation, Told, simulate
from state.events import ConsentGranted, ConsentWithdrawn, OrderCompleted

YES = ConsentGranted(channel="email", topic="marketing")


def newcomer() -> Simulation:
    return simulate(welcome).without_consent().at(hours(0), YES)


def test_who_agrees_is_welcomed_at_once_and_shown_around_after_three_days() -> None:
    assert newcomer().play_out() == [Told(hours(0), "welcome"), Told(days(3), "welcome_picks")]


def test_who_ordered_meanwhile_needs_no_showing_around() -> None:
    assert newcomer().at(days(1), OrderCompleted(order_id="o")).play_out() == [Told(hours(0), "welcome")]


def test_an_order_from_before_does_not_count() -> None:
    regular = simulate(welcome).without_consent().at(hours(0), OrderCompleted(order_id="o")).at(hours(1), YES)
    assert len(regular.play_out()) == 2


def test_only_the_first_consent_is_welcomed() -> None:
    again = newcomer().at(days(10), ConsentWithdrawn(channel="email")).at(days(20), YES)
    assert len(again.play_out()) == 2


def test_consent_for_text_messages_is_not_welcomed_by_mail() -> None:
    assert simulate(welcome).at(hours(0), ConsentGranted(channel="sms", topic="marketing")).decided() == []


def test_who_thinks_better_of_it_gets_no_second_message() -> None:
    decided = newcomer().at(days(1), ConsentWithdrawn(channel="email", topic="marketing")).decided()
    assert decided == [Told(hours(0), "welcome"), Told(days(3), "welcome_picks", "skip", "no_consent")]
