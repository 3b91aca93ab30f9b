"""What recommendations came to: which was clicked, which was bought, and whose doing that is."""

from __future__ import annotations

import pytest

from operators.measuring.recommended import AnyRow, Ledger, Line, Shown, decode, encode, of_event
from state.events import Event, OrderCancelled, OrderCompleted, OrderLine, OrderRefunded, ProductViewed
from state.money import Money
from state.recommendations import CLICKED_MS

NOW, HOUR = 1_767_571_200_000, 3_600_000
DAY = 24 * HOUR


def shown(at: int, *items: str, strategy: str = "co_visitation") -> Shown:
    return Shown(at=NOW + at, id=f"r{at}", block="discover", strategy=strategy, model="", place="message", items=items)


def viewed(at: int, item: str) -> AnyRow:
    [row] = of_event(ProductViewed(id=f"v{at}", at=NOW + at, product_id=item))
    return row


def ordered(at: int, *items: str, order_id: str = "") -> list[AnyRow]:
    lines = tuple(OrderLine(product_id=item, quantity=2, price=Money(500, "PLN")) for item in items)
    total = Money(1000 * len(items), "PLN")
    return said(OrderCompleted(id=f"o{at}", at=NOW + at, order_id=order_id or f"o{at}", products=lines, total=total))


def said(event: Event) -> list[AnyRow]:
    return [*of_event(event)]


def told(*rows: AnyRow) -> list[Line]:
    ledger = Ledger()
    ledger.account([decode(encode(row)) for row in sorted(rows, key=lambda row: row.at)])
    return list(ledger.lines())


def test_one_recommendation_is_clicked_once_and_what_is_bought_of_it_has_its_worth() -> None:
    [line] = told(shown(0, "p1", "p2"), viewed(HOUR, "p1"), viewed(2 * HOUR, "p2"), *ordered(DAY, "p1", "p2", "p9"))
    assert (line.shown, line.products, line.clicked, line.bought, line.orders) == (1, 2, 1, 1, 2)
    assert line.revenue == [("20.00", "PLN")]


def test_what_comes_late_or_before_is_not_its_doing() -> None:
    [line] = told(viewed(-1, "p1"), shown(0, "p1"), viewed(CLICKED_MS + 1, "p1"), *ordered(8 * DAY, "p1"))
    assert (line.clicked, line.bought, line.revenue) == (0, 0, [])


def test_an_order_that_page_and_backend_tell_of_is_one() -> None:
    twice = [*ordered(HOUR, "p1", order_id="o"), *ordered(HOUR + 2_000, "p1", order_id="o")]
    [line] = told(shown(0, "p1"), *twice)
    assert (line.bought, line.orders, line.revenue) == (1, 1, [("10.00", "PLN")])
    [line] = told(twice[0], twice[1], shown(HOUR + 1_000, "p1"), *twice[2:])
    assert (line.bought, line.orders, line.revenue) == (0, 0, [])


def test_a_cancelled_order_was_not_bought_but_she_came() -> None:
    gone = OrderCancelled(id="x", at=NOW + 9 * DAY, order_id="o")
    [line] = told(shown(0, "p1"), *ordered(HOUR, "p1", order_id="o"), *said(gone))
    assert (line.clicked, line.bought, line.orders, line.revenue) == (1, 0, 0, [])


@pytest.mark.parametrize(("back", "left"), [(None, []), (Money(500, "PLN"), [("7.50", "PLN")])])
def test_what_was_refunded_is_taken_back_from_all_products_alike(
    back: Money | None, left: list[tuple[str, str]]
) -> None:
    refund = OrderRefunded(id="x", at=NOW + 9 * DAY, order_id="o", total=back)
    [line] = told(shown(0, "p1"), *ordered(HOUR, "p1", "p9", order_id="o"), *said(refund))
    assert (line.bought, line.orders, line.revenue) == (1, 1, left)


def test_of_two_that_showed_it_the_last_one_is_credited() -> None:
    popular, ours = told(shown(0, "p1"), shown(HOUR, "p1", strategy="a_popularity"), viewed(2 * HOUR, "p1"))
    assert (popular.strategy, popular.clicked) == ("a_popularity", 1)
    assert (ours.strategy, ours.clicked) == ("co_visitation", 0)


def test_customers_are_added_up() -> None:
    ledger = Ledger()
    for _ in range(3):
        ledger.account([shown(0, "p1"), viewed(1, "p1")])
    [line] = ledger.lines()
    assert (line.shown, line.clicked, line.bought) == (3, 3, 0)


def test_a_click_counts_for_the_day_on_which_it_was_shown() -> None:
    ledger = Ledger()
    ledger.account([shown(0, "p1"), shown(23 * HOUR, "p2"), viewed(25 * HOUR, "p2"), shown(DAY, "p3")])
    [came] = ledger.came.values()
    today = NOW // DAY
    assert came.daily == {today: [2, 1], today + 1: [1, 0]}
    assert (came.shown, came.clicked) == (3, 1)
