"""What windows say of a customer: against plain recomputation, and in sentences about the shop."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.faults import FlowError
from operators.flow import days, hours, minutes
from operators.panes import ORIGIN
from operators.program import Program
from operators.windows import (
    Seen,
    Window,
    count,
    describe,
    distinct,
    fold,
    last,
    max_of,
    min_of,
    session,
    sliding,
    sum_of,
    sum_of_money,
    tumbling,
)
from state.customer import Customer, decode, encode
from state.events import OrderCompleted, ProductAdded, ProductEvent, ProductViewed
from state.instants import parse_instant
from state.money import Money

MINUTE, HOUR, DAY = 60_000, 3_600_000, 24 * 3_600_000
START = parse_instant("2026-01-05T00:00:00Z")  # a Monday


def product(event: ProductEvent) -> str:
    return event.product_id


def quantity(event: ProductEvent) -> int | None:
    return event.quantity


def price(event: ProductEvent) -> Money | None:
    return event.price


def total(event: OrderCompleted) -> Money | None:
    return event.total


def is_shoe(event: ProductEvent) -> bool:
    return event.category == "shoes"


def viewed(at: int, product_id: str = "p1", quantity: int | None = 1) -> ProductViewed:
    money = None if quantity is None else Money(quantity, "PLN" if quantity % 2 else "EUR")
    return ProductViewed(at=START + at, product_id=product_id, quantity=quantity, price=money)


def after(events: Sequence[ProductEvent | OrderCompleted], *windows: Window) -> Customer:
    customer = Customer(id="anna")
    for event in events:
        fold(windows, customer, event)
    return decode(encode(customer))


# Against plain recomputation.

OVER, EACH, GAP, GRACE = 5 * HOUR, HOUR, 30 * MINUTE, 2 * HOUR
EVENTS = st.lists(
    st.tuples(st.integers(0, 12 * HOUR), st.sampled_from("abcdefgh"), st.one_of(st.none(), st.integers(0, 9))),
    min_size=1,
    max_size=40,
)
Happened = list[tuple[int, str, int | None]]


def shuffled(happened: Happened, seed: int) -> list[ProductEvent]:
    """In an order in which nothing comes later than the grace."""
    random = Random(seed)
    order = sorted(happened, key=lambda entry: (entry[0] + random.randint(0, GRACE), random.random()))
    return [viewed(*entry) for entry in order]


def newest(happened: Happened) -> int:
    return max(at for at, _, _ in happened)


@given(EVENTS, st.integers(), st.integers(-GRACE, 8 * HOUR))
def test_sliding_windows_say_what_recounting_would(happened: Happened, seed: int, later: int) -> None:
    times: Any = {"on": ProductViewed, "over": hours(5), "each": hours(1), "grace": hours(2)}
    views = sliding("views", keep=count(), **times)
    pieces = sliding("pieces", keep=sum_of(quantity), **times)
    fewest = sliding("fewest", keep=min_of(quantity), **times)
    most = sliding("most", keep=max_of(quantity), **times)
    worth = sliding("worth", keep=sum_of_money(price), **times)
    customer = after(shuffled(happened, seed), views, pieces, fewest, most, worth)
    moment = newest(happened) + later
    now = START + moment
    inside = [q for at, _, q in happened if (moment - OVER) // EACH < at // EACH <= moment // EACH]
    known = [q for q in inside if q is not None]
    assert views.of(customer, now) == len(inside)
    assert pieces.of(customer, now) == sum(known)
    assert fewest.of(customer, now) == min(known, default=None)
    assert most.of(customer, now) == max(known, default=None)
    sums = {"EUR": sum(q for q in known if not q % 2), "PLN": sum(q for q in known if q % 2)}
    there = {"PLN" if q % 2 else "EUR" for q in known}
    assert worth.of(customer, now) == {each: Money(sums[each], each) for each in there}


@given(EVENTS, st.integers(), st.integers(0, 8 * HOUR))
def test_what_was_seen_last_is_known_to_the_millisecond(happened: Happened, seed: int, later: int) -> None:
    seen = sliding("seen", on=ProductViewed, over=hours(5), keep=distinct(product, 3), grace=hours(2))
    latest = sliding("latest", on=ProductViewed, over=hours(5), keep=last(4, product), grace=hours(2))
    customer = after(shuffled(happened, seed), seen, latest)
    moment = newest(happened) + later
    inside = sorted((-at, name) for at, name, _ in happened if moment - OVER < at <= moment)
    assert seen.of(customer, START + moment) == tuple(dict.fromkeys(name for _, name in inside))[:3]
    found = latest.of(customer, START + moment)
    assert [each.at for each in found] == [START - at for at, _ in inside[:4]]
    assert {each.value for each in found} <= {name for _, name in inside}


@given(EVENTS, st.integers(), st.integers(-GRACE, 8 * HOUR), st.integers(0, 2))
def test_tumbling_windows_say_what_recounting_would(happened: Happened, seed: int, later: int, back: int) -> None:
    views = tumbling("views", on=ProductViewed, every=hours(1), keep=count(), back=2, grace=hours(2))
    seen = tumbling("seen", on=ProductViewed, every=hours(1), keep=distinct(product), back=2, grace=hours(2))
    customer = after(shuffled(happened, seed), views, seen)
    moment = newest(happened) + later
    inside = [name for at, name, _ in happened if at // HOUR == moment // HOUR - back]
    assert views.of(customer, START + moment, back) == len(inside)
    assert set(seen.of(customer, START + moment, back)) == set(inside)


@given(EVENTS, st.integers(), st.integers(-GRACE, 2 * GAP))
def test_sessions_say_what_recounting_would(happened: Happened, seed: int, later: int) -> None:
    visit = session("visit", on=ProductViewed, gap=minutes(30), keep=count(), grace=hours(2))
    seen = session("seen", on=ProductViewed, gap=minutes(30), keep=distinct(product), grace=hours(2))
    customer = after(shuffled(happened, seed), visit, seen)
    moment = newest(happened) + later
    visits = grouped(happened)
    mine = next((each for each in visits if each[0][0] <= moment < each[-1][0] + GAP), [])
    assert visit.of(customer, START + moment) == len(mine)
    assert visit.began(customer, START + moment) == (START + mine[0][0] if mine else None)
    assert set(seen.of(customer, START + moment)) == {name for _, name, _ in mine}


def grouped(happened: Happened) -> list[Happened]:
    visits: list[Happened] = []
    for entry in sorted(happened, key=lambda each: each[0]):
        if visits and entry[0] - visits[-1][-1][0] < GAP:
            visits[-1].append(entry)
        else:
            visits.append([entry])
    return visits


# In sentences about the shop.


def test_only_the_events_it_is_about_count() -> None:
    shoes = sliding("shoes", on=ProductEvent, where=is_shoe, over=days(1), keep=count())
    boots = ProductAdded(at=START, product_id="boots", category="shoes")
    customer = after([boots, ProductViewed(at=START, product_id="hat"), OrderCompleted(at=START)], shoes)
    assert shoes.of(customer, START) == 1


def test_money_is_added_exactly_and_by_currency() -> None:
    spent = sliding("spent", on=OrderCompleted, over=days(365), keep=sum_of_money(total))
    orders = [OrderCompleted(at=START + n, total=Money(10, "PLN")) for n in range(3)]
    customer = after([*orders, OrderCompleted(at=START + 9, total=Money(500, "JPY"))], spent)
    assert spent.of(customer, START + 9) == {"PLN": Money(30, "PLN"), "JPY": Money(500, "JPY")}
    assert describe([spent], customer, START + 9) == {"spent": {"JPY": "500", "PLN": "0.30"}}


def test_what_is_as_old_as_the_window_is_out_of_it() -> None:
    seen = sliding("seen", on=ProductViewed, over=days(30), keep=distinct(product))
    customer = after([viewed(0)], seen)
    assert seen.of(customer, START + 30 * DAY - 1) == ("p1",)
    assert seen.of(customer, START + 30 * DAY) == ()


def test_counts_leave_whole_days_of_a_month() -> None:
    views = sliding("views", on=ProductViewed, over=days(30), keep=count())
    customer = after([viewed(9 * HOUR)], views)
    assert views.of(customer, START + 30 * DAY - 1) == 1
    assert views.of(customer, START + 30 * DAY) == 0


def test_a_week_begins_on_monday() -> None:
    views = tumbling("views", on=ProductViewed, every=days(7), keep=count())
    customer = after([viewed(7 * DAY - 1), viewed(7 * DAY)], views)
    assert [views.of(customer, START + 7 * DAY - 1), views.of(customer, START + 7 * DAY)] == [1, 1]
    assert views.of(customer, START + 7 * DAY, back=1) == 1
    assert views.of(customer, START + 14 * DAY, back=2) == 0  # not declared
    assert (START - ORIGIN) % (7 * DAY) == 0


def test_a_visit_ends_with_a_pause() -> None:
    visit = session("visit", on=ProductViewed, gap=minutes(30), keep=count())
    customer = after([viewed(0), viewed(29 * MINUTE)], visit)
    assert visit.of(customer, START + 59 * MINUTE - 1) == 2
    assert visit.of(customer, START + 59 * MINUTE) == 0
    assert visit.began(customer, START + 59 * MINUTE) is None


def test_a_late_view_joins_two_visits() -> None:
    visit = session("visit", on=ProductViewed, gap=minutes(30), keep=count())
    customer = after([viewed(0), viewed(40 * MINUTE), viewed(20 * MINUTE)], visit)
    assert visit.of(customer, START + 40 * MINUTE) == 3
    assert visit.began(customer, START + 40 * MINUTE) == START


@pytest.mark.parametrize("late", [HOUR, HOUR + 1])
def test_an_event_counts_up_to_the_grace_and_not_beyond(late: int) -> None:
    views = sliding("views", on=ProductViewed, over=days(30), keep=count(), grace=hours(1))
    day = tumbling("day", on=ProductViewed, every=days(1), keep=count(), grace=hours(1))
    visit = session("visit", on=ProductViewed, gap=hours(2), keep=count(), grace=hours(1))
    customer = after([viewed(12 * HOUR), viewed(12 * HOUR - late)], views, day, visit)
    expected = 2 if late == HOUR else 1
    assert [each.of(customer, START + 12 * HOUR) for each in (views, day, visit)] == [expected] * 3


def test_the_last_products_come_with_their_times() -> None:
    latest = sliding("latest", on=ProductViewed, over=days(1), keep=last(2, product))
    customer = after([viewed(1, "a"), viewed(3, "c"), viewed(2, "b")], latest)
    assert latest.of(customer, START + 3) == (Seen(START + 3, "c"), Seen(START + 2, "b"))
    assert describe([latest], customer, START + 2) == {"latest": [{"at": "2026-01-05T00:00:00.002Z", "value": "b"}]}


def test_a_customer_nobody_knows_has_empty_windows() -> None:
    windows: list[Window] = [
        sliding("a", on=ProductViewed, over=days(1), keep=count()),
        sliding("b", on=ProductViewed, over=days(1), keep=max_of(quantity)),
        tumbling("c", on=ProductViewed, every=days(1), keep=sum_of_money(price)),
        session("d", on=ProductViewed, gap=minutes(30), keep=last(3, product)),
    ]
    assert describe(windows, Customer(id="nobody"), START) == {"a": 0, "b": None, "c": {}, "d": []}


# Bounds.


def test_what_is_kept_does_not_grow_with_years_of_events() -> None:
    windows: list[Window] = [
        sliding("views", on=ProductViewed, over=days(30), keep=count()),
        sliding("seen", on=ProductViewed, over=days(30), keep=distinct(product, 20)),
        sliding("latest", on=ProductViewed, over=days(30), keep=last(20, product)),
        tumbling("day", on=ProductViewed, every=days(1), keep=distinct(product, 20)),
        session("visit", on=ProductViewed, gap=minutes(30), keep=last(20, product)),
    ]
    customer, sizes = Customer(id="anna"), []
    for n in range(20_000):
        fold(windows, customer, viewed(n * HOUR, f"p{n}"))
        if n % 2_500 == 0:
            sizes.append(len(encode(customer)))
    assert max(sizes) < 2_500
    assert len(customer.windows["views"][2]) <= 33


def test_what_is_too_old_does_not_stay_for_want_of_newer_things() -> None:
    seen = sliding("seen", on=ProductViewed, over=days(30), keep=distinct(product))
    customer = after([viewed(0, "old"), viewed(40 * DAY, "new")], seen)
    assert "old" not in repr(customer.windows)


def test_sums_stay_within_what_can_be_stored() -> None:
    pieces = sliding("pieces", on=ProductViewed, over=days(1), keep=sum_of(quantity))
    customer = after([ProductViewed(at=START, product_id="p", quantity=2**62)] * 3, pieces)
    assert pieces.of(customer, START) == 2**63 - 1


# What goes wrong.


def stumbling(event: ProductViewed) -> int:
    raise ValueError(f"secret of {event.product_id}")


def fraction(event: ProductViewed) -> int:
    return 0.5  # type: ignore[return-value]


def test_a_selector_that_raises_costs_its_own_window_that_event_only(caplog: pytest.LogCaptureFixture) -> None:
    broken = sliding("broken", on=ProductViewed, over=days(1), keep=sum_of(stumbling))
    odd = sliding("odd", on=ProductViewed, over=days(1), keep=sum_of(fraction))
    views = sliding("views", on=ProductViewed, over=days(1), keep=count())
    with caplog.at_level(logging.ERROR):
        customer = after([viewed(n) for n in range(5)], broken, odd, views)
    assert describe([broken, odd, views], customer, START + 9) == {"broken": 0, "odd": 0, "views": 5}
    told = [vars(record) for record in caplog.records]
    assert [record["window"] for record in told] == ["broken", "odd"]
    assert "ValueError" in told[0]["error"]
    assert "secret" not in repr(told).replace('f"secret of', "")


def test_a_window_that_means_something_else_now_starts_empty() -> None:
    before = sliding("views", on=ProductViewed, over=days(1), keep=count())
    customer = after([viewed(0)], before)
    now_pieces = sliding("views", on=ProductViewed, over=days(1), keep=sum_of(quantity))
    assert now_pieces.of(customer, START) == 0
    fold([now_pieces], customer, viewed(1, quantity=7))
    assert now_pieces.of(customer, START + 1) == 7
    longer = sliding("views", on=ProductViewed, over=hours(25), keep=sum_of(quantity))
    assert longer.of(customer, START + 1) == 7


def test_a_window_that_is_no_longer_declared_is_forgotten() -> None:
    old = sliding("old", on=ProductViewed, over=days(1), keep=count())
    new = sliding("new", on=ProductViewed, over=days(1), keep=count())
    customer = after([viewed(0)], old)
    fold([new], customer, viewed(1))
    assert list(customer.windows) == ["new"]


def test_lambdas_are_refused() -> None:
    for keep in (sum_of, sum_of_money, min_of, max_of, distinct):
        with pytest.raises(FlowError, match="without a name"):
            keep(lambda event: None)
    with pytest.raises(FlowError, match="without a name"):
        sliding("x", on=ProductViewed, over=days(1), keep=count(), where=lambda event: True)


@pytest.mark.parametrize(
    ("over", "each", "grace", "fact"),
    [
        (timedelta(0), None, None, "over must be"),
        (days(30), minutes(1), None, "at most 400"),
        (hours(1), None, days(1), "at most 400"),
        (hours(1), hours(2), None, "each must be"),
        (hours(1), None, hours(-1), "grace must not"),
    ],
)
def test_a_window_without_a_bound_is_refused(
    over: timedelta, each: timedelta | None, grace: timedelta | None, fact: str
) -> None:
    with pytest.raises(FlowError, match=f'window "views": .*{fact}'):
        sliding("views", on=ProductViewed, over=over, each=each, grace=grace, keep=count())


def test_other_declarations_without_a_bound_are_refused() -> None:
    with pytest.raises(FlowError, match="at_most"):
        last(5_000, product)
    with pytest.raises(FlowError, match="at most 397 gaps"):
        session("s", on=ProductViewed, gap=timedelta(seconds=1), keep=count(), grace=hours(1))
    with pytest.raises(FlowError, match="at most 100 periods"):
        tumbling("t", on=ProductViewed, every=timedelta(seconds=1), keep=count(), grace=hours(1))
    with pytest.raises(FlowError, match="back must be"):
        tumbling("t", on=ProductViewed, every=days(1), keep=count(), back=1_000)
    with pytest.raises(FlowError, match="printable"):
        sliding("", on=ProductViewed, over=days(1), keep=count())


def test_two_windows_of_one_name_are_refused() -> None:
    views = sliding("views", on=ProductViewed, over=days(1), keep=count())
    with pytest.raises(FlowError, match='two windows "views"'):
        Program([], [views, tumbling("views", on=ProductViewed, every=days(1), keep=count())])
