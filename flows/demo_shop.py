"""A made-up shop's visitors: a seeded stream of events, in order of time.

`python -m flows.demo_shop 300 > history.jsonl` writes ten days of so many visitors, to try flows on.
"""

from __future__ import annotations

import heapq
import json
import random
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from state.instants import format_instant, parse_instant

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
SEED = 7
START = parse_instant("2026-03-02T07:00:00Z")
PERIOD = 10 * DAY

_NAMES = [
    "Anna",
    "Jan",
    "Ola",
    "Piotr",
    "Kasia",
    "Marek",
    "Ewa",
    "Tomek",
    "Zofia",
    "Adam",
    "Maja",
    "Igor",
    "Lena",
    "Filip",
    "Hania",
    "Kuba",
]
_THINGS = (
    ("p-trail", "Trail running shoes", 8999, "shoes"),
    ("p-city", "City sneakers", 6450, "shoes"),
    ("p-wool", "Merino base layer", 4995, "clothing"),
    ("p-rain", "Rain jacket", 15900, "clothing"),
    ("p-pack", "Daypack 22 l", 11900, "bags"),
    ("p-flask", "Steel flask", 2990, "kitchen"),
    ("p-lamp", "Head lamp", 3750, "gear"),
    ("p-sock", "Hiking socks", 1290, "clothing"),
)


class Happening(NamedTuple):
    at: int
    number: int
    customer: str
    event: dict[str, Any]


class Shop:
    """`visitors` people come by within `period` milliseconds after `start`."""

    def __init__(self, seed: int, visitors: int, start: int, period: int) -> None:
        self._random = random.Random(seed)
        self._visitors, self._start, self._period = visitors, start, period
        self._number = 0

    def events(self) -> Iterator[Happening]:
        """All that happens, in order of time."""
        happenings: list[Happening] = []
        for visitor in range(self._visitors):
            happenings += self._life(f"c{visitor}")
        heapq.heapify(happenings)
        end = self._start + self._period
        while happenings:
            happening = heapq.heappop(happenings)
            if happening.at <= end:
                yield happening

    def _life(self, customer: str) -> Iterator[Happening]:
        chance = self._random
        at = self._start + round(chance.random() * self._period * 0.9)
        name = chance.choice(_NAMES)
        yield self._identify(at, customer, name)
        if chance.random() < 0.7:
            at += MINUTE
            words = {"channel": "email", "topic": "marketing", "source": "sign-up form"}
            yield self._track(at, customer, "Consent Granted", words)
        for _ in range(chance.choice((1, 1, 2, 3))):
            yield from self._visit(at, customer)
            at += round(chance.uniform(2, 40) * HOUR)

    def _visit(self, at: int, customer: str) -> Iterator[Happening]:
        chance = self._random
        cart = f"k{chance.getrandbits(32):08x}"
        filled = []
        for _ in range(chance.randint(1, 6)):
            thing = chance.choice(_THINGS)
            at += round(chance.uniform(0.3, 4) * MINUTE)
            yield self._track(at, customer, "Product Viewed", _product(thing))
            if chance.random() < 0.35:
                at += 20_000
                filled.append(thing)
                yield self._track(at, customer, "Product Added", {**_product(thing), "cart_id": cart, "quantity": 1})
        if len(filled) > 1 and chance.random() < 0.2:
            at += MINUTE
            yield self._track(at, customer, "Product Removed", {**_product(filled.pop()), "cart_id": cart})
        if filled and chance.random() < 0.4:
            at += round(chance.uniform(1, 90) * MINUTE)
            products = [{**_product(thing), "quantity": 1} for thing in filled]
            order = {
                "order_id": f"o{chance.getrandbits(32):08x}",
                "cart_id": cart,
                "currency": "PLN",
                "products": products,
            }
            yield self._track(at, customer, "Order Completed", order)

    def _identify(self, at: int, customer: str, name: str) -> Happening:
        traits = {"email": f"{customer}@example.invalid", "firstName": name, "timezone": "Europe/Warsaw"}
        return self._happening(at, customer, {"type": "identify", "traits": traits})

    def _track(self, at: int, customer: str, event: str, properties: dict[str, Any]) -> Happening:
        return self._happening(at, customer, {"type": "track", "event": event, "properties": properties})

    def _happening(self, at: int, customer: str, event: dict[str, Any]) -> Happening:
        self._number += 1
        whole = {**event, "messageId": f"demo-{self._number}", "userId": customer, "timestamp": format_instant(at)}
        return Happening(at, self._number, customer, whole)


def _product(thing: tuple[str, str, int, str]) -> dict[str, Any]:
    product_id, name, price, category = thing
    return {
        "product_id": product_id,
        "name": name,
        "price": price / 100,
        "currency": "PLN",
        "category": category,
        "url": f"https://shop.example/{product_id}",
    }


if __name__ == "__main__":
    for each in Shop(SEED, int(sys.argv[1]), START, PERIOD).events():
        print(json.dumps(each.event))
