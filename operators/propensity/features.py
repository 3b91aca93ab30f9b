"""Habits at a moment as features: each number by the bin it falls into, so that a linear model can bend.

A bin is present (1.0) or not.  No scaler is needed, whose means would have to travel with the model, and no number of
hers, however wild, can move a weight by more than one step.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from operators.propensity.habits import CARTS_HALF_MS, DAY_MS, HOUR_MS, VIEWS_HALF_MS, Habits

_TIMES = [2, 12, 24, 48, 96, 168, 336, 672, 1440, 2880]  # hours
_COUNTS = [1, 2, 3, 5, 8, 13, 21, 55]
_FRESH = [0.1, 0.3, 0.6, 1, 2, 4, 8, 16, 32]
_RATIOS = [0.1, 0.3, 0.6, 1, 2, 4, 8]
_MINUTES = [1, 3, 10, 30, 60]
_POWERS = [2.0**power for power in range(6, 28)]  # of money in minor units


def _names(name: str, edges: Iterable[float], last: str = "") -> tuple[str, ...]:
    names = tuple(f"{name}<{edge:g}" for edge in edges)
    return (*names, f"{name}+")


_SINCE, _SINCE_ORDER, _SINCE_CART = (_names(name, _TIMES) for name in ("since_h", "since_order_h", "since_cart_h"))
_KNOWN, _GAP = _names("known_h", _TIMES), _names("gap_h", _TIMES)
_LEFT_CART = _names("left_cart_h", _TIMES)
_VISITS, _VIEWS, _CARTS, _ORDERS = (_names(name, _COUNTS) for name in ("visits", "views", "carts", "orders"))
_VISIT = _names("visit_events", _COUNTS)
_LENGTH = _names("visit_min", _MINUTES)
_FRESH_VIEWS, _FRESH_CARTS = _names("fresh_views", _FRESH), _names("fresh_carts", _FRESH)
_OVERDUE = _names("overdue", _RATIOS)
_VALUE = _names("value", _POWERS)
_HOUR = tuple(f"hour_{start:02}" for start in range(0, 24, 3))
_DAY = tuple(f"day_{day}" for day in range(7))


def features(habits: Habits, now: int) -> dict[str, float]:
    """What a model sees of her at this moment (ms, no earlier than her last event)."""
    since = now - habits.last_at
    hours = since / HOUR_MS
    names = [
        _SINCE[bisect_right(_TIMES, hours)],
        _KNOWN[bisect_right(_TIMES, (now - habits.first_at) / HOUR_MS)],
        _VISITS[bisect_right(_COUNTS, habits.visits)],
        _VIEWS[bisect_right(_COUNTS, habits.views)],
        _CARTS[bisect_right(_COUNTS, habits.carts)],
        _ORDERS[bisect_right(_COUNTS, habits.orders)],
        _VISIT[bisect_right(_COUNTS, habits.visit_events)],
        _LENGTH[bisect_right(_MINUTES, (habits.last_at - habits.visit_at) / 60_000)],
        _FRESH_VIEWS[bisect_right(_FRESH, habits.fresh_views * 2.0 ** (-since / VIEWS_HALF_MS))],
        _FRESH_CARTS[bisect_right(_FRESH, habits.fresh_carts * 2.0 ** (-since / CARTS_HALF_MS))],
        _HOUR[habits.last_at // HOUR_MS % 24 // 3],
        _DAY[habits.last_at // DAY_MS % 7],
    ]
    if habits.gap_ms:
        names.append(_GAP[bisect_right(_TIMES, habits.gap_ms / HOUR_MS)])
        names.append(_OVERDUE[bisect_right(_RATIOS, since / habits.gap_ms)])
    if habits.last_cart_at:
        names.append(_SINCE_CART[bisect_right(_TIMES, (now - habits.last_cart_at) / HOUR_MS)])
        if habits.last_cart_at > habits.last_order_at:
            names.append(_LEFT_CART[bisect_right(_TIMES, (now - habits.last_cart_at) / HOUR_MS)])
    if habits.last_order_at:
        names.append(_SINCE_ORDER[bisect_right(_TIMES, (now - habits.last_order_at) / HOUR_MS)])
    if habits.value > 0:
        names.append(_VALUE[bisect_right(_POWERS, habits.value)])
    return dict.fromkeys(names, 1.0)
