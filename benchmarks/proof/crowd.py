"""Customers of a made-up shop, one after the other without end: a seeded stream of events in order of time.

Everybody has an address, and most agreed to hear from the shop.  Half of them have carts with names.
"""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from state.instants import format_instant

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

AHEAD_MS = 92 * 24 * HOUR  # on the replay clock: past the last wait of all
CLICKS = "clickstream"
_PRICES = (5.25, 19.0, 25.0, 49.5, 60.0, 99.75, 100.0)
_CONSENT = {"channel": "email", "topic": "marketing", "source": "sign-up form"}


@dataclass(frozen=True)
class Tempo:
    """How fast customers come, and how fast they live: (least, most) milliseconds from one thing to the next."""

    arrival: int
    to_consent: tuple[int, int]
    to_add: tuple[int, int]
    to_order: tuple[int, int]
    to_next_visit: tuple[int, int]
    visits_max: int


DAYS = Tempo(
    arrival=150 * SECOND,
    to_consent=(0, 2 * MINUTE),
    to_add=(5 * SECOND, 10 * MINUTE),
    to_order=(MINUTE, 100 * MINUTE),
    to_next_visit=(10 * MINUTE, 40 * HOUR),
    visits_max=3,
)
"""For the replay clock: reminders, orders and second visits come in any order."""

MOMENTS = Tempo(
    arrival=40,
    to_consent=(0, 200),
    to_add=(20, 700),
    to_order=(100, 3_000),
    to_next_visit=(300, 3_000),
    visits_max=2,
)
"""For the live clock: a whole life within a quarter of a minute, before its first reminder."""


class Appended(NamedTuple):
    """One event and its customer, by whom it is keyed; all of hers go to one topic, so that they stay in order."""

    at: int
    number: int
    customer: str  # empty: it is the catalogue's
    event: dict[str, Any]
    topic: str = CLICKS

    @property
    def row(self) -> tuple[bytes | None, bytes]:
        """Key and value in the log."""
        return self.customer.encode() or None, json.dumps(self.event).encode()


class Crowd:
    """Iterate for the events.  The same seed, start and tempo make the same ones; `before` begins their ids."""

    def __init__(self, seed: int, start: int, tempo: Tempo, before: str = "") -> None:
        self._chance = random.Random(seed)
        self._start, self._tempo, self._before = start, tempo, before
        self._number = 0

    def __iter__(self) -> Iterator[Appended]:
        going: list[Appended] = []
        arrives, customer = self._start, 0
        while True:
            while not going or arrives <= going[0].at:
                for each in self._life(f"{self._before}c{customer}", arrives):
                    heapq.heappush(going, each)
                customer += 1
                arrives += max(1, round(self._chance.expovariate(1 / self._tempo.arrival)))
            event = heapq.heappop(going)
            yield event
            if self._chance.random() < 0.02:
                yield event  # the tracker sends it twice

    def _life(self, customer: str, at: int) -> Iterator[Appended]:
        chance, tempo = self._chance, self._tempo
        traits = {"email": f"{customer}@example.invalid", "firstName": f"Customer {customer}"}
        yield self._appended(at, customer, {"type": "identify", "traits": traits})
        if chance.random() < 0.85:
            at += chance.randint(*tempo.to_consent)
            yield self._track(at, customer, "Consent Granted", dict(_CONSENT))
        names_carts = chance.random() < 0.5
        carts: dict[str, dict[str, int]] = {}
        for visit in range(chance.randint(1, tempo.visits_max)):
            name = {"cart_id": f"{customer}-{visit}"} if names_carts else {}
            cart = carts.setdefault(name.get("cart_id", ""), {})
            for _ in range(chance.choice((0, 0, 1, 2))):
                at += chance.randint(*tempo.to_add)
                yield self._track(at, customer, "Product Viewed", _product(chance.choice(_PRICES)))
            for _ in range(chance.choice((0, 1, 2, 3, 4))):
                at += chance.randint(*tempo.to_add)
                yield self._change(at, customer, cart, name)
            if cart and chance.random() < 0.35:
                at += chance.randint(*tempo.to_order)
                order = f"o{self._number}"
                lines = [{"product_id": product, "quantity": quantity} for product, quantity in cart.items()]
                cart.clear()
                yield self._track(at, customer, "Order Completed", {"order_id": order, "products": lines, **name})
                if chance.random() < 0.2:
                    at += chance.randint(*tempo.to_order)
                    undone = chance.choice(("Order Cancelled", "Order Refunded"))
                    yield self._track(at, customer, undone, {"order_id": order})
            at += chance.randint(*tempo.to_next_visit)

    def _change(self, at: int, customer: str, cart: dict[str, int], name: dict[str, str]) -> Appended:
        chance = self._chance
        if cart and chance.random() < 0.2:
            product = chance.choice(sorted(cart))
            quantity = chance.randint(1, cart[product])
            cart[product] -= quantity
            if not cart[product]:
                del cart[product]
            taken = {"product_id": product, "quantity": quantity, **name}
            return self._track(at, customer, "Product Removed", taken)
        price = chance.choice(_PRICES)
        added, quantity = _product(price), chance.choice((1, 1, 1, 2))
        cart[added["product_id"]] = cart.get(added["product_id"], 0) + quantity
        return self._track(at, customer, "Product Added", {**added, "quantity": quantity, **name})

    def _track(self, at: int, customer: str, event: str, properties: dict[str, Any]) -> Appended:
        return self._appended(at, customer, {"type": "track", "event": event, "properties": properties})

    def _appended(self, at: int, customer: str, event: dict[str, Any]) -> Appended:
        self._number += 1
        whole = {**event, "messageId": f"e{self._number}", "userId": customer, "timestamp": format_instant(at)}
        return Appended(at, self._number, customer, whole)


def _product(price: float) -> dict[str, Any]:
    return {"product_id": f"p{price}", "name": f"p{price}", "price": price, "currency": "PLN"}


def last_word(at: int, number: int = 0) -> Appended:
    """Somebody looks at something, long after all others: the replay clock goes on to there."""
    event = {
        "type": "track",
        "event": "Product Viewed",
        "messageId": f"the-last-word-{number}",
        "userId": "nobody",
        "timestamp": format_instant(at),
        "properties": {"product_id": "p5.25"},
    }
    return Appended(at, 1 << 60, "nobody", event)
