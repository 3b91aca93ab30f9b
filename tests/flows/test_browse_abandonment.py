"""What the shop promises to those who only looked."""

from __future__ import annotations

from datetime import timedelta

from flows.browse_abandonment import browse_abandonment
from flows.windows import visit
from operators.flow import days, hours, minutes
from operators.guards import Rules
from operators.simulate import Simulation, Told, simulate
from state.events import OrderCompleted, ProductAdded, ProductViewed

ORDER = OrderCompleted(order_id="o1")


def viewed(product: str = "p1") -> ProductViewed:
    return ProductViewed(product_id=product)


def added(product: str = "p1") -> ProductAdded:
    return ProductAdded(product_id=product)


def looked() -> Simulation:
    return simulate(browse_abandonment, windows=[visit]).at(hours(0), viewed())


def reminders(simulation: Simulation) -> list[timedelta]:
    told = simulation.play_out()
    assert {each.message for each in told} <= {"browse_reminder"}
    return [each.after for each in told]


def test_two_hours_after_the_last_view_comes_one_message() -> None:
    assert reminders(looked()) == [hours(2)]
    assert reminders(looked().at(minutes(119), viewed("p2"))) == [minutes(119) + hours(2)]


def test_a_view_at_the_very_moment_of_the_message_goes_first() -> None:
    assert reminders(looked().at(hours(2), viewed())) == [hours(4)]


def test_who_puts_something_in_a_cart_is_left_alone() -> None:
    assert reminders(looked().at(minutes(30), added("p9"))) == []
    assert reminders(looked().at(hours(2), added())) == []


def test_what_she_added_counts_for_the_whole_visit() -> None:
    assert reminders(looked().at(minutes(30), added()).at(minutes(60), viewed("p2"))) == []


def test_what_she_added_before_the_visit_does_not_count() -> None:
    before = simulate(browse_abandonment, windows=[visit]).at(hours(0), added()).at(minutes(1), viewed())
    assert reminders(before) == [hours(2) + minutes(1)]


def test_who_orders_is_left_alone() -> None:
    assert reminders(looked().at(minutes(30), ORDER)) == []


def test_a_week_passes_between_two_messages() -> None:
    assert reminders(looked().at(days(3), viewed())) == [hours(2)]
    assert reminders(looked().at(days(7) - minutes(1), viewed())) == [hours(2)]
    assert reminders(looked().at(days(7), viewed())) == [hours(2), days(7) + hours(2)]


def test_what_was_not_sent_does_not_count_for_the_week() -> None:
    twice = looked().at(days(3), viewed()).without_consent().decided()
    assert [told.reason for told in twice] == ["no_consent", "no_consent"]


def test_a_message_put_off_for_the_night_gives_way_to_that_of_the_next_visit() -> None:
    night = Rules(quiet_from=13 * 60, quiet_to=22 * 60)  # it is noon when she looks, UTC
    decided = looked().at(hours(5), viewed()).at(hours(14), viewed()).under(night).decided()
    assert decided == [
        Told(hours(2), "browse_reminder", "defer", "quiet_hours"),
        Told(hours(7), "browse_reminder", "defer", "quiet_hours"),
        Told(hours(10), "browse_reminder"),
    ]


def test_the_message_shows_what_she_looked_at_the_last_first() -> None:
    customer = (
        looked().at(minutes(1), viewed("p2")).at(minutes(2), viewed()).at(hours(1), viewed("p3")).customer(hours(1.5))
    )
    assert [seen.value for seen in visit.of(customer, customer.last_seen)] == ["p3", "p1", "p2", "p1"]
    assert list(customer.interests) == ["p2", "p1", "p3"]
