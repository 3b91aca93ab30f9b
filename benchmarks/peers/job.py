"""The job that Impuls and its peers do, its events, and an oracle that knows what must come out.

A topic of eight partitions, keyed by customer, in order of event time, tells of one day in a shop.  **A customer who
put something into her cart, and within an hour neither ordered nor put in anything more, is reminded: one record
`{"customer", "at"}` for it, `at` being that hour's end.**  Times are event time, an event at that very moment comes
first.  After a reminder only a new addition leads to another one.

Not every engine can do that.  Where there are no timers on event time, a reminder comes at the customer's next event,
and those who do not come back get none: `Promise.WHEN_SHE_COMES_BACK`.  And where a window is closed because the input
has ended, those are reminded too whose hour is not over: `Promise.AND_AT_THE_END`.

Only the standard library: peers run in environments of their own.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import NamedTuple
from zlib import crc32

PARTITIONS = 8
EVENT_BYTES = 324
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
REMINDED_AFTER_MS = HOUR_MS
# A Monday, from nine to five in Warsaw: no reminder falls into its quiet hours.
OPENS_AT = round(datetime(2026, 3, 2, 8, tzinfo=UTC).timestamp() * 1000)
OPEN_MS = 8 * HOUR_MS
# Long enough for session windows that close two gaps after the last event.
SILENCE_MS = 3 * HOUR_MS
PRODUCTS = 5_000
VISITS = (1, 1, 1, 2, 3)
VIEWS = (1, 2, 3, 4)
ADDS, ORDERS = 0.2, 0.4  # shares: views after which she adds it, filled carts that she orders
ADDED, ORDERED, VIEWED = "Product Added", "Order Completed", "Product Viewed"


class Promise(Enum):
    """Whom an engine reminds."""

    ON_TIME = "on time"
    WHEN_SHE_COMES_BACK = "when she comes back"
    AND_AT_THE_END = "on time, and all at the end"


class Event(NamedTuple):
    """`name` as the tracker calls it; `value` is the record's, of `EVENT_BYTES` bytes."""

    at: int
    customer: str
    name: str
    partition: int
    value: bytes


class Reminder(NamedTuple):
    customer: str
    at: int


@dataclass(frozen=True)
class Day:
    """The shop's day.  First all customers are introduced: who they are, and that they agreed to mail.  Of that only
    Impuls makes use, whose guards ask for it.  Then they shop; last, the time of each partition is moved on."""

    customers: int
    seed: int = 1

    @property
    def opening_events(self) -> int:
        return 2 * self.customers

    def events(self) -> Iterator[Event]:
        """In order of time."""
        yield from self._opening()
        shopping = [event for customer in range(self.customers) for event in self._shops(customer)]
        shopping.sort(key=lambda event: event.at)
        yield from shopping
        last = shopping[-1].at if shopping else OPENS_AT
        for partition in range(PARTITIONS):
            name = f"closing-{partition}"
            yield self._track(last + SILENCE_MS, name, 0, ADDED, _product(partition))._replace(partition=partition)

    def _opening(self) -> Iterator[Event]:
        """A millisecond for each customer, first to say who she is, then to agree."""
        at = OPENS_AT - HOUR_MS
        for number in range(self.customers):
            customer = f"c{number}"
            body = f'"type":"identify","traits":{{"email":"{customer}@example.invalid","firstName":"Ola","plan":"%s"}}'
            yield _event(at + number, customer, "identify", f"i{number}", body)
        for number in range(self.customers):
            body = (
                '"type":"track","event":"Consent Granted","properties":{"channel":"email","topic":"marketing",'
                '"source":"sign-up form","proof":"%s"}'
            )
            yield _event(at + self.customers + number, f"c{number}", "Consent Granted", f"a{number}", body)

    def _shops(self, number: int) -> Iterator[Event]:
        chance, customer = random.Random(self.seed << 32 | number), f"c{number}"
        at, done = OPENS_AT + round(chance.random() * OPEN_MS * 0.6), 0
        for _ in range(chance.choice(VISITS)):
            filled = False
            for _ in range(chance.choice(VIEWS)):
                at += round(chance.uniform(0.2, 3) * MINUTE_MS)
                product = _product(chance.randrange(PRODUCTS))
                yield self._track(at, customer, done := done + 1, VIEWED, product)
                if chance.random() < ADDS:
                    at, filled = at + 15_000, True
                    yield self._track(at, customer, done := done + 1, ADDED, product + ',"quantity":1')
            if filled and chance.random() < ORDERS:
                at += round(chance.uniform(1, 80) * MINUTE_MS)
                order = f'"order_id":"o-{done}","products":[{{{product},"quantity":1}}]'
                yield self._track(at, customer, done := done + 1, ORDERED, order)
            at += round(chance.uniform(20, 150) * MINUTE_MS)

    def _track(self, at: int, customer: str, number: int, name: str, properties: str) -> Event:
        body = f'"type":"track","event":"{name}","properties":{{{properties},"referrer":"%s"}}'
        return _event(at, customer, name, f"{customer}-{number}", body)


def partition_of(customer: str) -> int:
    return crc32(customer.encode()) % PARTITIONS


def expected(events: Iterable[Event], promise: Promise) -> Counter[Reminder]:
    """The oracle: who must be reminded, for which moment."""
    found: Counter[Reminder] = Counter()
    due: dict[str, tuple[int, int]] = {}
    reached = [0] * PARTITIONS
    for event in events:
        reached[event.partition] = event.at
        waits_until, _ = due.get(event.customer, (event.at, 0))
        if waits_until < event.at:
            found[Reminder(event.customer, waits_until)] += 1
            del due[event.customer]
        if event.name == ADDED:
            due[event.customer] = event.at + REMINDED_AFTER_MS, event.partition
        elif event.name == ORDERED:
            due.pop(event.customer, None)
    if promise is not Promise.WHEN_SHE_COMES_BACK:
        at_the_end = promise is Promise.AND_AT_THE_END
        left = (Reminder(who, at) for who, (at, partition) in due.items() if at_the_end or at < reached[partition])
        found.update(left)
    return found


def _product(number: int) -> str:
    return f'"product_id":"p{number}","name":"Product {number}","price":{number % 190 + 9}.90,"currency":"PLN"'


def _event(at: int, customer: str, name: str, event_id: str, body: str) -> Event:
    """`%s` in the body is where it is filled up to its size."""
    time = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    form = (
        f'{{{body},"messageId":"{event_id}","userId":"{customer}","timestamp":"{time}","context":{{"locale":"pl-PL"}}}}'
    )
    filling = EVENT_BYTES - len(form) + len("%s")
    if filling < 0:
        raise ValueError(f"an event of {len(form)} bytes is larger than {EVENT_BYTES}: {form}")
    return Event(at, customer, name, partition_of(customer), form.replace("%s", "x" * filling).encode())
