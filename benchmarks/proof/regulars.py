"""Customers of long standing, and what the catalogue tells, so that every flow has something to decide under load.

The regulars' next messages are due in the first two hours of the load, weeks after what brought them into their flows.
Those who wait for a product have seen or carted it before the load; while it is on it is back, or cheaper.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from benchmarks.proof.crowd import HOUR, MINUTE, Appended
from state.catalogue import CATALOGUE
from state.instants import format_instant

DAY = 24 * HOUR
LEAD_MS = 91 * DAY  # from the first regular's first event until the load begins
DUE_MS = 2 * HOUR
INTERVAL_MS = 5 * DAY
NEWS_MS = HOUR
EACH = 2
AFTER_ORDER = (14 * DAY, 30 * DAY, 60 * DAY, 90 * DAY)  # review_request, cross_sell, win_back, win_back_offer
_CONSENT = {"channel": "email", "topic": "marketing", "source": "sign-up form"}
_PRICE = {"price": 60.0, "currency": "PLN"}


class Regulars:
    """`start` is when the load begins.  The same seed and start make the same ones; `before` begins their ids."""

    def __init__(self, seed: int, start: int, before: str = "") -> None:
        self._chance = random.Random(f"regulars/{seed}")
        self._start, self._before = start, before
        self._number = 0

    def history(self) -> list[Appended]:
        """All they did before the load, in order of time."""
        return sorted([*self._buyers(), *self._subscribers(), *self.waiting()], key=lambda each: each.at)

    def waiting(self, ago: int = DAY) -> list[Appended]:
        """Who waits for products, since so long."""
        return sorted(self._waiting(self._start - ago), key=lambda each: each.at)

    def news(self, over: int = NEWS_MS) -> list[Appended]:
        """What the catalogue says of these products in the first so many milliseconds of the load, some of it twice."""
        told = []
        for number in range(2 * EACH):
            at = self._start + (2 * number + 1) * over // (4 * EACH)
            said: dict[str, Any] = {"availability": "in stock"} if number % 2 else {**_PRICE, "price": 45.0}
            one = self._track(at, "", "Product Changed", {"product_id": self._product(number), **said}, CATALOGUE)
            told += [one, one] if number % 3 == 0 else [one]
        return told

    def _buyers(self) -> Iterator[Appended]:
        for after in AFTER_ORDER:
            for _ in range(EACH):
                yield from self._order(self._next("b"), self._start - after + self._chance.randrange(DUE_MS))
        for _ in range(EACH):  # of the same thing, every five days: three days before the next, `replenish` is due
            customer, last = self._next("r"), self._start - 2 * DAY + self._chance.randrange(DUE_MS)
            for ago in (2, 1, 0):
                yield from self._order(customer, last - ago * INTERVAL_MS)

    def _subscribers(self) -> Iterator[Appended]:
        for _ in range(EACH):
            yield from self._known(self._next("s"), self._start - 3 * DAY + self._chance.randrange(DUE_MS))

    def _waiting(self, at: int) -> Iterator[Appended]:
        for number in range(2 * EACH):
            product = {"product_id": self._product(number), **_PRICE}
            for way in ("viewed", "carted", "glanced", "bought"):
                customer = self._next("w")
                yield from self._known(customer, at)
                name = "Product Added" if way == "carted" else "Product Viewed"
                for later in range(1 if way in ("carted", "glanced") else 2):
                    yield self._track(at + 1 + later, customer, name, product)
                if way == "bought":
                    yield self._bought(at + 3, customer, product)

    def _order(self, customer: str, at: int) -> Iterator[Appended]:
        yield from self._known(customer, at - MINUTE)
        yield self._bought(at, customer, {"product_id": f"{self._before}refill", **_PRICE})

    def _known(self, customer: str, at: int) -> Iterator[Appended]:
        traits = {"email": f"{customer}@example.invalid", "firstName": f"Customer {customer}"}
        yield self._appended(at, customer, {"type": "identify", "traits": traits})
        yield self._track(at, customer, "Consent Granted", dict(_CONSENT))

    def _bought(self, at: int, customer: str, line: dict[str, Any]) -> Appended:
        order = {"order_id": f"{customer}-{at}", "products": [{**line, "quantity": 1}]}
        return self._track(at, customer, "Order Completed", order)

    def _track(self, at: int, customer: str, event: str, properties: dict[str, Any], topic: str = "") -> Appended:
        made = self._appended(at, customer, {"type": "track", "event": event, "properties": properties})
        return made._replace(topic=topic) if topic else made

    def _appended(self, at: int, customer: str, event: dict[str, Any]) -> Appended:
        self._number += 1
        whole = {**event, "messageId": f"{self._before}g{self._number}", "timestamp": format_instant(at)}
        return Appended(at, self._number, customer, {**whole, "userId": customer} if customer else whole)

    def _next(self, kind: str) -> str:
        self._number += 1
        return f"{self._before}{kind}{self._number}"

    def _product(self, number: int) -> str:
        return f"{self._before}p{number}"
