"""Forgetting in small bites what a shard need not keep: old decisions, and customers long unseen."""

from __future__ import annotations

from dataclasses import dataclass

from operators.residents import Residents
from operators.trials import is_shadow
from state import customer as customers
from state.customer import Customer
from state.passages import EVENT_CLOCK, NEVER, WALL_CLOCK, Passage, Pending
from state.store import ShardStore

DECISIONS_A_BITE = 500
CUSTOMERS_A_BITE = 20  # each is decrypted and decoded; a bite must not be felt by the events behind it
EVERY_MS = 30_000


@dataclass(frozen=True)
class Keep:
    """How long (milliseconds) decisions are kept, and customers who are not seen and wait for nothing."""

    decisions_ms: int
    customers_ms: int


class Retention:
    """One bite of one shard every few seconds, decisions and customers in turn; never with a write open."""

    def __init__(self, store: ShardStore, residents: Residents, keep: Keep, shard: int) -> None:
        self._store, self._residents, self._keep = store, residents, keep
        self._places = [b"", b""]
        self._turn = shard
        self._next_at = 0

    def bite(self, wall: int, now: int) -> None:
        """`now` is the time that counts: wall time, on replay what the log has reached."""
        if wall < self._next_at:
            return
        # The first time only looks at the clock: shards that start together do not sweep together.
        first = not self._next_at
        self._next_at = wall + EVERY_MS + (self._turn * 397 % EVERY_MS if first else 0)
        if first:
            return
        self._turn += 1
        if self._turn % 2:
            self._places[0] = self._store.sweep(self._places[0], DECISIONS_A_BITE, now - self._keep.decisions_ms)
        else:
            self._forget_customers(now - self._keep.customers_ms)

    def _forget_customers(self, before: int) -> None:
        def unseen(record: bytes) -> bool:
            customer = customers.decode(record)
            rests: list[Passage | Pending] = [*customer.passages, *customer.pending]
            waits = customer.held or any(not is_shadow(each.flow) for each in rests)
            return customer.last_seen < before and not waits

        found, self._places[1] = self._store.sweep_customers(self._places[1], CUSTOMERS_A_BITE, unseen)
        for chash, record in found:
            self._residents.forget(chash)
            customer = customers.decode(record)
            waits_for = [self._residents.item(product) for product in customer.interests]
            self._store.forget(chash, _timers(customer), waits_for)


def _timers(customer: Customer) -> list[tuple[int, int]]:
    timers = ((EVENT_CLOCK, customer.event_timer), (WALL_CLOCK, customer.wall_timer))
    return [(clock, due) for clock, due in timers if due != NEVER]
