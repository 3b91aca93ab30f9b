"""A run's events with the moments they are due, made one by one as they are asked for.

A moment is a whole millisecond: what an event says as its time *is* when it was due, so whoever reads a decision about
it knows that without being told.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from benchmarks.load.choices import HOT
from benchmarks.load.paces import arrivals, mean_factor
from benchmarks.load.workloads import Workload
from state.instants import format_instant

PRODUCTS = 997
CROWD = "v"
AGREES = (
    '"type":"track","event":"Consent Granted",'
    '"properties":{"channel":"email","topic":"marketing","source":"sign-up form"}'
)


class Planned(NamedTuple):
    """`at`: milliseconds from where the measurement begins.  `body`: JSON members but for id and time."""

    at: int
    who: str
    body: str
    mails: bool


class Plan(Protocol):
    """What a generator appends."""

    @property
    def run(self) -> str:
        """A name no other run on this installation has: message ids begin with it."""

    @property
    def warm_seconds(self) -> float: ...

    @property
    def seconds(self) -> float: ...

    def before(self) -> Iterator[tuple[str, str]]:
        """Customer and body of what must be known beforehand, as fast as may be."""

    def __iter__(self) -> Iterator[Planned]: ...


@dataclass(frozen=True)
class Load:
    """A workload at a rate, among so many customers, for so long.

    `known`: when the crowd is there already, with an address each for the first so many of them, these are those who
    agree to mail, from `known_from` on; else new ones sign up.
    """

    workload: Workload
    rate: float
    customers: int
    seconds: float
    warm_seconds: float = 0.0
    seed: int = 1
    run: str = "b"
    known: int = 0
    known_from: int = 0

    @property
    def events(self) -> int:
        """About how many it comes to, those while it warms up included."""
        return round(self.rate * (self.warm_seconds + self.seconds * mean_factor(self.workload.pace, self.seconds)))

    @property
    def agreeing(self) -> int:
        """How many must be ready to agree; a few more than will."""
        every = self.workload.mix.mail_every
        return math.ceil(1.02 * self.events / every) + 50 if every else 0

    def before(self) -> Iterator[tuple[str, str]]:
        for number in range(0 if self.known else self.agreeing):
            who = f"{self.run}-{number}"
            yield (
                who,
                f'"type":"identify","userId":"{who}","traits":{{"email":"{who}@example.invalid","firstName":"Ola"}}',
            )

    def __iter__(self) -> Iterator[Planned]:
        chance = random.Random(self.seed)
        every, agreed = self.workload.mix.mail_every, 0
        due = arrivals(self.workload.pace, self.rate, self.warm_seconds, self.seconds)
        end = round(self.seconds * 1000)
        for number, at in enumerate(due):
            if round(at * 1000) >= end:
                return  # by the rounding of many small steps
            mails = every > 0 and number % every == 0
            if mails:
                who = f"{CROWD}{self.known_from + agreed}" if self.known else f"{self.run}-{agreed}"
                body, agreed = f'{AGREES},"userId":"{who}"', agreed + 1
            else:
                who, body = self._ordinary(chance, number)
            yield Planned(round(at * 1000), who, body, mails)

    def _ordinary(self, chance: random.Random, number: int) -> tuple[str, str]:
        picked = self.workload.choice.pick(chance, self.customers)
        who = f"{self.run}-hot" if picked == HOT else f"{CROWD}{picked}"
        mix, does = self.workload.mix, chance.random()
        product = (
            f'"product_id":"p{number % PRODUCTS}","name":"Product","price":19.90,"currency":"PLN",'
            f'"url":"https://shop.example/p{number % PRODUCTS}"'
        )
        if does < mix.carts:
            event, more = "Product Added", f'{product},"quantity":1,"cart_id":"k-{who}"'
        elif does < mix.carts + mix.orders:
            event, more = "Order Completed", f'"order_id":"{self.run}-{number}","products":[{{{product},"quantity":1}}]'
        else:
            event, more = "Product Viewed", product
        return who, f'"type":"track","event":"{event}","userId":"{who}","properties":{{{more}}}'


def line(run: str, number: int | str, body: str, at_ms: int) -> bytes:
    """The whole event."""
    return f'{{{body},"messageId":"{run}:{number}","timestamp":"{format_instant(at_ms)}"}}'.encode()
