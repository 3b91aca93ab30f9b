"""A made shop whose truth is known: who left a cart orders within days, others seldom, and some never come back."""

from __future__ import annotations

import random
from collections.abc import Iterator

from operators.propensity.habits import DAY_MS, HOUR_MS, Habits, fold
from operators.propensity.lessons import Lessons
from state.events import Event, OrderCompleted, ProductAdded, ProductViewed
from state.money import Money

LEFT_CART, OTHERS, LOYAL, PASSING = 0.7, 0.05, 0.95, 0.5
BEGAN = 1_700_000_000_000 // DAY_MS * DAY_MS


def habits(*events: Event) -> Habits:
    made = Habits()
    for event in events:
        fold(made, event)
    return made


def view(at: int) -> ProductViewed:
    return ProductViewed(at=at, product_id="p")


def cart(at: int) -> ProductAdded:
    return ProductAdded(at=at, product_id="p")


T0 = BEGAN + 20 * HOUR_MS
LOOKED = habits(view(T0))
LEFT_A_CART = habits(view(T0), cart(T0 + 60_000))


def hash_of(number: int) -> bytes:
    return (number * 2_654_435_761 % (1 << 32)).to_bytes(4, "big") + number.to_bytes(4, "big")


def shop(days: int, *, visitors_a_day: int = 30, seed: int = 1) -> Iterator[tuple[bytes, Event]]:
    """Everybody comes in the evening.  A visit with a cart is followed by an order two days later in `LEFT_CART`."""
    dice = random.Random(seed)
    planned: list[tuple[int, bytes, Event]] = []
    for day in range(days):
        for number in range(visitors_a_day):
            who = hash_of(day * visitors_a_day + number)
            at = BEGAN + day * DAY_MS + 19 * HOUR_MS + dice.randrange(2 * HOUR_MS)
            carts = dice.random() < 0.5
            planned.append((at, who, ProductViewed(at=at, product_id="p")))
            if carts:
                planned.append((at + 60_000, who, ProductAdded(at=at + 60_000, product_id="p")))
            if dice.random() < (LEFT_CART if carts else OTHERS):
                later = at + 2 * DAY_MS
                worth = Money(9_000 if carts else 3_000, "PLN")
                planned.append((later, who, OrderCompleted(at=later, total=worth)))
            if dice.random() < (LOYAL if carts else PASSING):
                back = at + 20 * DAY_MS
                planned.append((back, who, ProductViewed(at=back, product_id="p")))
    for _, who, event in sorted(planned, key=lambda each: each[:2]):
        yield who, event


def learn(lessons: Lessons, days: int, *, seed: int = 1) -> None:
    for who, event in shop(days, seed=seed):
        lessons.pass_time(event.at - 1)
        lessons.take(who, event)
