"""What the shop promises about carts left behind."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from flows.abandoned_cart import abandoned_cart
from operators.flow import days, hours, minutes
from operators.guards import Rules
from operators.simulate import Simulation, Told, simulate
from state.events import ConsentWithdrawn, OrderCompleted, ProductAdded, ProductRemoved
from state.money import Money
from tests.operators.shards import DAY, MINUTE, START, agrees, desk, identify, track


def added(product: str = "p1", price: int | None = 1999, *, quantity: int = 1, cart: str = "k1") -> ProductAdded:
    money = None if price is None else Money(price, "PLN")
    return ProductAdded(product_id=product, price=money, quantity=quantity, cart_id=cart)


def removed(product: str = "p1", quantity: int | None = None, *, cart: str = "k1") -> ProductRemoved:
    return ProductRemoved(product_id=product, quantity=quantity, cart_id=cart)


def ordered(cart: str = "") -> OrderCompleted:
    return OrderCompleted(order_id="o1", cart_id=cart)


def filled() -> Simulation:
    return simulate(abandoned_cart).at(hours(0), added())


def sends(*told: tuple[timedelta, str]) -> list[Told]:
    return [Told(after, message) for after, message in told]


def test_a_cart_left_alone_is_reminded_of_three_times() -> None:
    assert filled().play_out() == sends(
        (hours(1), "cart_reminder"), (hours(24), "cart_reminder_2"), (hours(72), "cart_last_call")
    )


def test_an_order_ends_the_reminders() -> None:
    assert filled().at(minutes(30), ordered("k1")).play_out() == []


def test_an_order_that_names_no_cart_closes_the_one_changed_last() -> None:
    assert filled().at(minutes(30), ordered()).play_out() == []


def test_an_order_of_another_cart_changes_nothing() -> None:
    assert len(filled().at(minutes(30), ordered("k2")).play_out()) == 3


def test_an_order_between_two_reminders_stops_the_second() -> None:
    assert filled().at(hours(2), ordered("k1")).play_out() == sends((hours(1), "cart_reminder"))


def test_an_order_at_the_very_moment_of_the_reminder_goes_first() -> None:
    assert filled().at(hours(1), ordered("k1")).play_out() == []


def test_each_change_starts_the_hour_again() -> None:
    later = filled().at(minutes(40), added("p2")).play_out()
    assert [told.after for told in later] == [minutes(100), minutes(40) + hours(24), minutes(40) + hours(72)]


def test_removing_one_of_two_starts_the_hour_again_too() -> None:
    two = filled().at(minutes(1), added("p2")).at(minutes(40), removed("p1"))
    assert two.play_out()[0] == Told(minutes(100), "cart_reminder")


def test_emptying_the_cart_ends_the_reminders() -> None:
    assert filled().at(minutes(30), removed()).play_out() == []


def test_taking_out_fewer_than_all_leaves_the_rest() -> None:
    three = simulate(abandoned_cart).at(hours(0), added(quantity=3)).at(minutes(10), removed(quantity=2))
    assert len(three.play_out()) == 3
    assert three.at(minutes(20), removed(quantity=1)).play_out() == []


def test_a_cart_worth_a_hundred_gets_an_offer() -> None:
    assert "cart_offer" in [
        told.message for told in simulate(abandoned_cart).at(hours(0), added(price=10_000)).play_out()
    ]
    assert "cart_offer" not in [
        told.message for told in simulate(abandoned_cart).at(hours(0), added(price=9_999)).play_out()
    ]


def test_the_latest_price_counts_and_quantities_add_up() -> None:
    cart = simulate(abandoned_cart).at(hours(0), added(price=9_000)).at(minutes(5), added(price=5_000))
    assert cart.play_out()[1].message == "cart_offer"
    assert cart.at(minutes(6), added(price=3_000)).play_out()[1].message == "cart_reminder_2"


def test_a_product_without_a_price_is_worth_nothing() -> None:
    assert simulate(abandoned_cart).at(hours(0), added(price=None)).play_out()[1].message == "cart_reminder_2"


def test_two_carts_go_their_own_ways() -> None:
    both = filled().at(minutes(10), added(cart="k2")).at(minutes(20), ordered("k1"))
    assert [told.after for told in both.play_out()] == [minutes(70), minutes(10) + hours(24), minutes(10) + hours(72)]


def test_the_cart_can_be_filled_again_after_an_order() -> None:
    again = filled().at(minutes(30), ordered("k1")).at(hours(2), added("p2"))
    assert [told.after for told in again.play_out()] == [hours(3), hours(26), hours(74)]


def test_without_consent_every_step_is_a_decision_not_to_send() -> None:
    decided = filled().without_consent().decided()
    assert [(told.message, told.outcome, told.reason) for told in decided] == [
        ("cart_reminder", "skip", "no_consent"),
        ("cart_reminder_2", "skip", "no_consent"),
        ("cart_last_call", "skip", "no_consent"),
    ]


def test_a_withdrawal_in_between_silences_what_follows() -> None:
    decided = filled().at(hours(2), ConsentWithdrawn(channel="email", topic="marketing")).decided()
    assert [told.outcome for told in decided] == ["send", "skip", "skip"]


def test_without_an_address_nothing_is_sent() -> None:
    assert {told.reason for told in filled().without_address().decided()} == {"no_address"}


def test_a_reminder_in_quiet_hours_waits_for_the_morning() -> None:
    night = Rules(quiet_from=21 * 60, quiet_to=8 * 60)  # the simulation starts at noon, UTC
    decided = simulate(abandoned_cart).under(night).at(hours(8.5), added()).decided(until=hours(24))
    assert decided == [
        Told(hours(9.5), "cart_reminder", "defer", "quiet_hours"),
        Told(hours(20), "cart_reminder"),
    ]


def test_an_order_in_the_night_withdraws_the_message_put_off() -> None:
    night = Rules(quiet_from=21 * 60, quiet_to=8 * 60)
    decided = simulate(abandoned_cart).under(night).at(hours(8.5), added()).at(hours(15), ordered("k1")).decided()
    assert [told.outcome for told in decided] == ["defer"]


def test_the_cap_stops_the_fifth_message_in_a_week() -> None:
    cap = Rules(cap=2, cap_period=7 * 86_400_000)
    assert [told.reason for told in filled().under(cap).decided()] == ["", "", "cap"]


def test_a_reminder_that_is_too_late_is_decided_expired() -> None:
    long_night = Rules(quiet_from=13 * 60, quiet_to=12 * 60)
    decided = filled().under(long_night).decided(until=days(1))
    assert decided[:1] == [Told(hours(1), "cart_reminder", "defer", "quiet_hours")]
    assert Told(hours(24), "cart_reminder", "skip", "expired") in decided


def test_an_order_without_a_cart_closes_the_one_something_was_last_taken_out_of() -> None:
    two = simulate(abandoned_cart).at(minutes(0), added("p1", cart="k1")).at(minutes(1), added("p2", cart="k1"))
    two = two.at(minutes(2), added("p3", cart="k2")).at(minutes(3), removed("p2", cart="k1")).at(minutes(4), ordered())
    assert [told.after for told in two.play_out()] == [minutes(62), minutes(2) + hours(24), minutes(2) + hours(72)]


def test_of_two_carts_changed_in_one_instant_an_order_closes_the_one_that_came_last() -> None:
    for first, last in (("k1", "k2"), ("k2", "k1")):
        both = simulate(abandoned_cart).at(hours(0), added(cart=first, price=10_000)).at(hours(0), added(cart=last))
        assert "cart_offer" in [told.message for told in both.at(minutes(5), ordered()).play_out()]


def test_an_emptied_cart_is_not_what_was_ordered() -> None:
    two = filled().at(minutes(1), added(cart="k2")).at(minutes(2), removed(cart="k2")).at(minutes(3), ordered())
    assert two.play_out() == []


def test_what_is_in_another_currency_does_not_count_toward_an_offer() -> None:
    euros = ProductAdded(product_id="p2", price=Money(100, "EUR"), cart_id="k1")
    cart = simulate(abandoned_cart).at(hours(0), added(price=20_000)).at(minutes(1), euros)
    assert cart.play_out()[1].message == "cart_reminder_2"


def test_a_hundred_yen_are_worth_a_hundred() -> None:
    yen = ProductAdded(product_id="p1", price=Money(100, "JPY"), cart_id="k1")
    assert simulate(abandoned_cart).at(hours(0), yen).play_out()[1].message == "cart_offer"


def test_what_was_added_before_an_order_but_told_after_it_does_not_reopen_the_cart(tmp_path: Path) -> None:
    regular = [
        track("anna", START, "Product Added", product_id="p1"),
        track("anna", START + 5 * MINUTE, "Order Completed", order_id="o1"),
        track("anna", START + 30 * MINUTE, "Order Completed", order_id="o2"),
        track("anna", START + 20 * MINUTE, "Product Added", product_id="p2"),
    ]
    with desk(tmp_path, abandoned_cart, clock="replay", wall=START + 9 * DAY) as shop:
        shop.events(identify("anna"), agrees("anna"), *regular)
        shop.clock_at(START + 5 * DAY)
        assert shop.decided("anna") == []
