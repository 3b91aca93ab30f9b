"""What the shop promises to those who wait for a product: to hear when it is back, and when it is cheaper."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from flows.back_in_stock import back_in_stock
from flows.messages import cheaper_product
from flows.price_drop import price_drop
from flows.waiting import SPREAD
from operators import catalogue
from operators.flow import days, hours, minutes
from operators.simulate import Simulation, happening, simulate
from state import event_codec
from state.catalogue import PriceDropped
from state.events import OrderCompleted, OrderLine, ProductAdded, ProductRemoved, ProductViewed
from state.money import money

PRICE = money(Decimal(100), "PLN")


def viewed() -> ProductViewed:
    return ProductViewed(product_id="p1", price=PRICE)


def changed(**properties: Any) -> Any:
    return happening("Product Changed", product_id="p1", **properties)


def ordered(product: str = "p1") -> OrderCompleted:
    return OrderCompleted(products=(OrderLine(product),))


BACK = changed(availability="in stock")
GONE = changed(availability="out of stock")
SHOP = simulate(back_in_stock, price_drop)
WAITS = SHOP.at(hours(0), viewed()).at(hours(1), viewed())


def heard(simulation: Simulation) -> list[str]:
    return [told.message for told in simulation.play_out()]


def test_who_viewed_it_twice_hears_within_minutes_that_it_is_back() -> None:
    [told] = WAITS.at(hours(2), BACK).play_out()
    assert told.message == "back_in_stock"
    assert hours(2) <= told.after < hours(2) + SPREAD


def test_who_had_it_in_the_cart_hears_too_and_who_saw_it_once_does_not() -> None:
    assert heard(SHOP.at(hours(0), ProductAdded(product_id="p1")).at(hours(2), BACK)) == ["back_in_stock"]
    taken_out = SHOP.at(hours(0), ProductAdded(product_id="p1")).at(days(1), ProductRemoved(product_id="p1"))
    assert heard(taken_out.at(days(31), BACK)) == ["back_in_stock"]
    assert heard(SHOP.at(hours(0), viewed()).at(hours(2), BACK)) == []


def test_what_is_more_than_thirty_days_ago_is_forgotten() -> None:
    assert heard(WAITS.at(days(30), BACK)) == ["back_in_stock"]
    assert heard(WAITS.at(days(30) + minutes(1), BACK)) == []


def test_who_bought_it_does_not_wait_any_more() -> None:
    assert heard(WAITS.at(hours(2), ordered()).at(hours(3), BACK)) == []
    assert heard(WAITS.at(hours(2), ordered("p2")).at(hours(3), BACK)) == ["back_in_stock"]


def test_who_buys_it_before_her_turn_hears_nothing() -> None:
    [told] = WAITS.at(hours(2), BACK).play_out()
    turn = told.after
    assert heard(WAITS.at(hours(2), BACK).at(turn, ordered())) == []
    assert heard(WAITS.at(hours(2), BACK).at(turn + minutes(1), ordered())) == ["back_in_stock"]


def test_only_what_was_not_available_can_be_back() -> None:
    assert heard(WAITS.at(hours(2), BACK).at(hours(3), changed(availability="in stock"))) == ["back_in_stock"]
    twice = WAITS.at(hours(2), BACK).at(hours(3), GONE).at(hours(4), changed(availability=True))
    assert heard(twice) == ["back_in_stock", "back_in_stock"]


@pytest.mark.parametrize(("price", "news"), [("95", ["price_drop"]), ("95.01", []), ("120", []), ("0", ["price_drop"])])
def test_cheaper_by_five_percent_than_the_catalogue_said_before(price: str, news: list[str]) -> None:
    assert heard(WAITS.at(hours(2), changed(price="100")).at(hours(3), changed(price=price))) == news


def test_where_the_catalogue_said_nothing_the_price_she_saw_counts() -> None:
    assert heard(WAITS.at(hours(2), changed(price="95"))) == ["price_drop"]
    assert heard(WAITS.at(hours(2), changed(price="96"))) == []
    unpriced = SHOP.at(hours(0), ProductViewed(product_id="p1")).at(hours(1), ProductViewed(product_id="p1"))
    assert heard(unpriced.at(hours(2), changed(price="5"))) == []


def test_two_small_steps_are_no_drop_and_another_currency_is_none_either() -> None:
    steps = WAITS.at(hours(2), changed(price="100")).at(hours(3), changed(price="97")).at(hours(4), changed(price="94"))
    assert heard(steps) == []
    assert heard(WAITS.at(hours(2), changed(price="20", currency="EUR"))) == []


def test_back_and_cheaper_at_once_are_two_pieces_of_news() -> None:
    assert sorted(heard(WAITS.at(hours(2), changed(price="50", availability="in stock")))) == [
        "back_in_stock",
        "price_drop",
    ]


def test_the_message_shows_the_product_as_she_knows_it_at_the_price_of_today() -> None:
    named = ProductViewed(product_id="p1", name="Boots", url="https://shop.example/p1", price=PRICE)
    shop = SHOP.at(hours(0), named).at(hours(1), named).at(hours(2), changed(price="80"))
    customer = shop.customer(hours(2))
    news = event_codec.decode(customer.passages[0].event)
    assert isinstance(news, PriceDropped)
    content = cheaper_product(news, customer)
    assert (content["before_minor"], content["before_currency"]) == (10_000, "PLN")
    [product] = content["products"]
    assert (product["name"], product["price_minor"], product["url"]) == ("Boots", 8_000, named.url)


def test_what_the_catalogue_tells_is_nothing_that_she_did() -> None:
    customer = WAITS.at(days(20), BACK).customer()
    assert customer.events == 2
    assert customer.last_seen == customer.first_seen + 3_600_000


def test_news_told_again_or_late_are_no_news() -> None:
    again = msgspec.structs.replace(changed(price="90"), id="the same")
    assert heard(WAITS.at(hours(2), again).at(hours(4), again)) == ["price_drop"]
    known, news = catalogue.changed(None, msgspec.structs.replace(GONE, id="b", at=20))
    assert news is None
    late = catalogue.changed(known, msgspec.structs.replace(BACK, id="a", at=10))
    assert late == (msgspec.structs.replace(known, event="a"), None)
