"""A visitor's habits: the few numbers about her comings that predictions are made of.

One small value and one way to fold an event into it, for the learner and for a customer's record alike, so that what
was learnt from is what is asked with.  Times in ms; counts that fade do so with event time.
"""

from __future__ import annotations

from typing import Any

import msgspec

from state import events as ev
from state.events import Event

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
VISIT_MS = HOUR_MS // 2  # who did nothing for so long has left
VIEWS_HALF_MS, CARTS_HALF_MS = 2 * DAY_MS, 7 * DAY_MS
_HOURS = bytes(24)
_SHARE = 0.3  # of the newest visit or order in what is usual for her


class Habits(msgspec.Struct, gc=False, array_like=True):
    """Fields are only ever added at the end, with a default.  0 stands for never and for unknown."""

    first_at: int = 0
    last_at: int = 0
    visit_at: int = 0  # when her latest visit began
    visit_events: int = 0
    visits: int = 0
    views: int = 0
    carts: int = 0
    orders: int = 0
    last_cart_at: int = 0
    last_order_at: int = 0
    fresh_views: float = 0.0  # fading, as of `last_at`
    fresh_carts: float = 0.0
    gap_ms: float = 0.0  # usual time from visit to visit
    value: float = 0.0  # usual order, in minor units
    hours: bytes = _HOURS  # how many visits touched each hour of the day, UTC


_OTHER, _VIEW, _CART, _ORDER = range(4)
_KINDS: dict[type[Event], int] = {
    ev.ProductViewed: _VIEW,
    ev.ProductAdded: _CART,
    ev.OrderCompleted: _ORDER,
    **dict.fromkeys(
        (
            ev.Paged,
            ev.Screened,
            ev.ProductsSearched,
            ev.ProductListViewed,
            ev.ProductRemoved,
            ev.CartViewed,
            ev.CheckoutStarted,
            ev.CouponEntered,
            ev.PromotionClicked,
            ev.ProductReviewed,
        ),
        _OTHER,
    ),
}


def is_coming(event: Event) -> bool:
    """Whether it shows that she herself was in the shop; what a mail provider or a CRM tells does not."""
    return type(event) in _KINDS


def fold(habits: Habits, event: Event) -> None:
    """Take in an event that `is_coming`.  One that comes late is counted, and moves no visit."""
    at, kind = event.at, _KINDS[type(event)]
    _arrive(habits, at)
    weight = _faded(1.0, habits.last_at - at, VIEWS_HALF_MS)
    if kind == _VIEW:
        habits.views += 1
        habits.fresh_views += weight
    elif kind == _CART:
        habits.carts += 1
        habits.fresh_carts += _faded(1.0, habits.last_at - at, CARTS_HALF_MS)
        habits.last_cart_at = max(habits.last_cart_at, at)
    elif kind == _ORDER:
        habits.orders += 1
        habits.last_order_at = max(habits.last_order_at, at)
        habits.value = _usual(habits.value, float(value_of(event)))


def value_of(event: Any) -> int:
    """What an order is worth, in minor units; 0 where nobody said."""
    return event.total.minor if event.total is not None else 0


def joined(one: Habits, other: Habits) -> Habits:
    """As if one visitor had done all of it; visits of both at one time count twice."""
    late, early = (one, other) if one.last_at >= other.last_at else (other, one)
    since = late.last_at - early.last_at
    return Habits(
        first_at=min(one.first_at, other.first_at),
        last_at=late.last_at,
        visit_at=late.visit_at,
        visit_events=late.visit_events,
        visits=one.visits + other.visits,
        views=one.views + other.views,
        carts=one.carts + other.carts,
        orders=one.orders + other.orders,
        last_cart_at=max(one.last_cart_at, other.last_cart_at),
        last_order_at=max(one.last_order_at, other.last_order_at),
        fresh_views=late.fresh_views + _faded(early.fresh_views, since, VIEWS_HALF_MS),
        fresh_carts=late.fresh_carts + _faded(early.fresh_carts, since, CARTS_HALF_MS),
        gap_ms=late.gap_ms or early.gap_ms,
        value=late.value or early.value,
        hours=_bounded([a + b for a, b in zip(one.hours, other.hours, strict=True)]),
    )


def _arrive(habits: Habits, at: int) -> None:
    if not habits.visits:
        habits.first_at = habits.last_at = at
    since = at - habits.last_at
    hour_before = habits.last_at // HOUR_MS
    if not habits.visits or since >= VISIT_MS:
        habits.gap_ms = _usual(habits.gap_ms, float(since))
        habits.visits += 1
        habits.visit_at, habits.visit_events = at, 0
        hour_before = -1
    if since > 0:
        habits.fresh_views = _faded(habits.fresh_views, since, VIEWS_HALF_MS)
        habits.fresh_carts = _faded(habits.fresh_carts, since, CARTS_HALF_MS)
        habits.last_at = at
    habits.first_at = min(habits.first_at, at)
    habits.visit_events += 1
    if since >= 0 and at // HOUR_MS != hour_before:
        counts = list(habits.hours)
        counts[at // HOUR_MS % 24] += 1
        habits.hours = _bounded(counts)


def _bounded(counts: list[int]) -> bytes:
    """Counts that fit into a byte each; where one does not, all are halved."""
    while max(counts) > 255:
        counts = [each // 2 for each in counts]
    return bytes(counts)


def _usual(before: float, now: float) -> float:
    return before + _SHARE * (now - before) if before and now else now or before


def _faded(weight: float, since: int, half: int) -> float:
    return float(weight * 2.0 ** (-since / half))
