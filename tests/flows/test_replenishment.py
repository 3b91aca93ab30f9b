"""What the shop promises to those who order the same again and again."""

from __future__ import annotations

from datetime import timedelta

from flows.replenishment import replenishment
from operators.flow import days, hours
from operators.simulate import Simulation, simulate
from state.events import OrderCompleted, OrderLine


def ordered(*products: str, order_id: str = "") -> OrderCompleted:
    return OrderCompleted(order_id=order_id, products=tuple(OrderLine(product) for product in products))


def orders(*after: float, product: str = "coffee") -> Simulation:
    """One order after each of these numbers of days."""
    simulation = simulate(replenishment)
    for number in after:
        simulation = simulation.at(days(number), ordered(product))
    return simulation


def reminders(simulation: Simulation) -> list[timedelta]:
    told = simulation.play_out(days(2000))
    assert {each.message for each in told} <= {"replenish"}
    return [each.after for each in told]


def test_the_third_order_shows_the_rhythm() -> None:
    assert reminders(orders(0, 30)) == []
    assert reminders(orders(0, 30, 60)) == [days(87)]


def test_the_interval_is_the_median_of_her_own() -> None:
    assert reminders(orders(0, 10, 30)) == [days(30 + 15 - 3)]
    assert reminders(orders(0, 100, 110, 122)) == [days(122 + 12 - 3)]


def test_an_order_in_time_moves_the_reminder() -> None:
    assert reminders(orders(0, 30, 60, 80)) == [days(80 + 30 - 3)]
    assert reminders(orders(0, 30, 60, 87)) == [days(87 + 30 - 3)]


def test_after_the_reminder_the_next_order_counts() -> None:
    assert reminders(orders(0, 30, 60, 90)) == [days(87), days(117)]


def test_each_product_has_a_rhythm_of_its_own() -> None:
    both = simulate(replenishment)
    for day in (0, 20, 40):
        both = both.at(days(day), ordered("coffee", "filters"))
    assert reminders(both) == [days(57), days(57)]
    assert reminders(both.at(days(50), ordered("coffee"))) == [days(57), days(67)]


def test_who_orders_every_other_day_needs_no_reminder() -> None:
    assert reminders(orders(0, 2, 4)) == []
    assert reminders(orders(0, 3, 6)) == []
    assert reminders(orders(0, 4, 8, 8.1, 8.2)) == []


def test_two_lines_of_one_order_are_one_order() -> None:
    twice = simulate(replenishment).at(hours(0), ordered("coffee", "coffee")).at(days(30), ordered("coffee"))
    assert reminders(twice) == []


def test_an_order_told_twice_is_one_order() -> None:
    twice = simulate(replenishment)
    for day, number in ((0, 1), (30, 2), (30, 2)):
        twice = twice.at(days(day), ordered("coffee", order_id=f"o{number}"))
    assert reminders(twice) == []
    assert reminders(twice.at(days(60), ordered("coffee", order_id="o3"))) == [days(87)]


def test_nobody_is_reminded_more_than_four_hundred_days_later() -> None:
    assert reminders(orders(0, 500, 1000)) == [days(1400)]


def test_the_timeline_tells_until_when_she_waits_and_why() -> None:
    timeline = orders(0, 30, 60).timeline()
    [moment] = [entry for entry in timeline if entry.what == "moment"]
    [parked] = [entry for entry in timeline if entry.what == "parked"]
    assert (moment.name, moment.until) == ("running_low", parked.until)
    assert timeline.index(moment) < timeline.index(parked)
