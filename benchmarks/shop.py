"""A made-up shop's visitors for load: seeded, mostly people who look, some who fill a cart, few who order.

Out of a hundred events about eighty are views and eight additions to a cart; a visitor comes back a few
times within the month, half of them agree to mail at their first visit.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from state.instants import format_instant, parse_instant

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = parse_instant("2026-03-02T00:00:00Z")
PERIOD = 30 * DAY
PRODUCTS = 5_000
ADDS, REMOVES, ORDERS, AGREES = 0.1, 0.1, 0.35, 0.5
_CATEGORIES = ("shoes", "clothing", "bags", "kitchen", "gear")

Event = tuple[int, str, bytes]  # when, its name, the line


def write_stream(path: Path, seed: int, visitors: int) -> Counter[str]:
    """Write all that these visitors do as JSON lines in order of time; how many of each kind."""
    events = [event for visitor in range(visitors) for event in life(seed, visitor)]
    events.sort(key=lambda event: event[0])
    with path.open("wb") as out:
        out.writelines(line for _, _, line in events)
    return Counter(name for _, name, _ in events)


def life(seed: int, visitor: int) -> Iterator[Event]:
    """One visitor's month."""
    chance = random.Random(seed << 32 | visitor)
    customer, number = f"c{visitor}", 0

    def happening(at: int, name: str, body: str) -> Event:
        nonlocal number
        number += 1
        head = f'"messageId":"{customer}-{number}","userId":"{customer}","timestamp":"{format_instant(at)}"'
        return at, name, f'{{{body},{head},"context":{{"locale":"pl-PL"}}}}\n'.encode()

    at = START + round(chance.random() * PERIOD * 0.8)
    yield happening(at, "identify", _identity(customer))
    if chance.random() < AGREES:
        yield happening(at + MINUTE, "Consent Granted", _CONSENT)
    for _ in range(chance.choice((1, 1, 2, 4))):
        cart, filled = f"{customer}-{at:x}", []
        for _ in range(chance.randint(2, 16)):
            at += round(chance.uniform(0.2, 3) * MINUTE)
            product = product_of(chance.randrange(PRODUCTS))
            yield happening(at, "Product Viewed", _track("Product Viewed", product))
            if chance.random() < ADDS:
                at += 15_000
                filled.append(product)
                yield happening(at, "Product Added", _track("Product Added", product + _in_cart(cart)))
        if filled and chance.random() < REMOVES:
            at += MINUTE
            yield happening(at, "Product Removed", _track("Product Removed", filled.pop() + _in_cart(cart)))
        if filled and chance.random() < ORDERS:
            at += round(chance.uniform(1, 90) * MINUTE)
            yield happening(at, "Order Completed", _track("Order Completed", _order(cart, filled)))
        at += round(chance.uniform(4, 150) * HOUR)


def product_of(number: int) -> str:
    """The properties of a product, without the braces."""
    return (
        f'"product_id":"p{number}","name":"Product number {number}","price":{number % 190 + 9}.90,"currency":"PLN",'
        f'"category":"{_CATEGORIES[number % 5]}","url":"https://shop.example/p{number}"'
    )


def _in_cart(cart: str) -> str:
    return f',"cart_id":"{cart}","quantity":1'


def _order(cart: str, products: list[str]) -> str:
    lines = ",".join(f'{{{product},"quantity":1}}' for product in products)
    return f'"order_id":"o-{cart}","cart_id":"{cart}","currency":"PLN","products":[{lines}]'


def _identity(customer: str) -> str:
    return (
        f'"type":"identify","traits":{{"email":"{customer}@example.invalid","firstName":"Ola",'
        '"timezone":"Europe/Warsaw"}'
    )


def _track(name: str, properties: str) -> str:
    return f'"type":"track","event":"{name}","properties":{{{properties}}}'


_CONSENT = _track("Consent Granted", '"channel":"email","topic":"marketing","source":"sign-up form"')
