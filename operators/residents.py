"""The customers of one shard in memory: read when first asked for, written together, counted where they rest.

The cache holds those touched last; what was touched since the last write stays until it is written.  In a store that
does not outlive the process a record is written when there is no room for it in the cache.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from operators import counts
from operators.engine import Engine
from state import customer as customers
from state.customer import Customer
from state.passages import EVENT_CLOCK, NEVER, WALL_CLOCK
from state.store import Batch, ShardStore


@dataclass(slots=True)
class Entry:
    """A customer in the cache, which waits her stored record is counted at, and when she is due by either clock.

    Whoever changes her passages or what is pending tells with `look`.  `wakes_at`: when the first of her waits ends,
    by `Waits.dues`.  `is_newer`: than her record in the store, which is written only when she leaves the cache.
    """

    customer: Customer
    parked: tuple[tuple[str, str], ...]
    event_due: int = NEVER
    wall_due: int = NEVER
    wakes_at: int | None = None
    is_newer: bool = False


class Residents:
    """`cached_max` bounds what is kept decoded between two writes.  `item` gives the store key of a product."""

    def __init__(self, store: ShardStore, engine: Engine, cached_max: int, item: Callable[[str], bytes]) -> None:
        self.parked, self.timers = counts.decode(store.meta(counts.META))
        self.dirty: dict[bytes, Entry] = {}
        self.indexed: set[bytes] = set()  # items that somebody waits for since the last write
        self._store, self._engine, self._cached_max, self.item = store, engine, cached_max, item
        self._cache: OrderedDict[bytes, Entry] = OrderedDict()
        self.came = 0  # into the cache; whoever counts them sets it back

    def entry(self, chash: bytes, customer_id: str = "") -> Entry:
        """Her entry, a new one (with the id given) where nothing is known of her."""
        entry = self.dirty.get(chash) or self._cache.get(chash)
        if entry is not None:
            self._cache.move_to_end(chash)
            return entry
        raw = self._store.customer(chash)
        customer = customers.decode(raw) if raw is not None else Customer(id=customer_id)
        entry = Entry(customer, _waits(customer))
        self.look(entry)
        self._cache[chash] = entry
        self.came += 1
        return entry

    def is_cached(self, chash: bytes) -> bool:
        return chash in self._cache

    def look(self, entry: Entry) -> None:
        """See anew when she is due."""
        entry.event_due, entry.wall_due, entry.wakes_at = self._engine.waits.dues(entry.customer)

    def forget(self, chash: bytes) -> None:
        """Drop what is cached of somebody who is not in the store (any more)."""
        self._cache.pop(chash, None)

    def let_go(self, chash: bytes) -> None:
        """Keep nobody in memory who was read for a moment, once what she heard is written."""
        if self._store.outlives:
            self._cache.pop(chash, None)
        elif chash in self._cache:
            self._cache.move_to_end(chash, last=False)

    def soonest_event(self) -> int:
        """When the first of those touched since the last write is due by the event clock."""
        return min([entry.event_due for entry in self.dirty.values()], default=NEVER)

    def soonest_wall(self) -> int:
        """And by the wall clock."""
        return min([entry.wall_due for entry in self.dirty.values()], default=NEVER)

    def save(self, batch: Batch) -> None:
        """Put all that was touched into a batch, with timers and counts."""
        for chash, entry in self.dirty.items():
            self._save(batch, chash, entry)
            self._count(entry)
        if self.dirty:
            batch.set_meta(counts.META, counts.encode(self.parked, self.timers))
        self._make_room(batch)

    def saved(self) -> None:
        """The batch is on disk."""
        self.dirty.clear()
        self.indexed.clear()

    def _save(self, batch: Batch, chash: bytes, entry: Entry) -> None:
        customer, event_due, wall_due = entry.customer, entry.event_due, entry.wall_due
        if event_due != customer.event_timer:
            self._move_timer(batch, EVENT_CLOCK, customer.event_timer, event_due, chash)
            customer.event_timer = event_due
        if wall_due != customer.wall_timer:
            self._move_timer(batch, WALL_CLOCK, customer.wall_timer, wall_due, chash)
            customer.wall_timer = wall_due
        if customer.unindexed:
            self._index(batch, chash, customer)
        if self._store.outlives:
            batch.put_customer(chash, customers.encode(customer))
        else:
            entry.is_newer = True

    def _make_room(self, batch: Batch) -> None:
        """Let go of those touched longest ago, whose records are written now."""
        while len(self._cache) > self._cached_max:
            chash, entry = self._cache.popitem(last=False)
            if entry.is_newer:
                batch.put_customer(chash, customers.encode(entry.customer))

    def may_wait(self, batch: Batch, chash: bytes, product: str) -> None:
        """Let her be found by a product."""
        item = self.item(product)
        batch.set_waiting(item, chash)
        self.indexed.add(item)

    def _index(self, batch: Batch, chash: bytes, customer: Customer) -> None:
        """While events of hers are held, or on their way from another id, nobody knows whether she waits."""
        may_wait = customer.held or self._engine.meeting.may_bring(customer)
        for product in customer.unindexed:
            interest = customer.interests.get(product)
            if may_wait or (interest is not None and interest.waits):
                self.may_wait(batch, chash, product)
            else:
                batch.clear_waiting(self.item(product), chash)
        customer.unindexed.clear()

    def _move_timer(self, batch: Batch, clock: int, old: int, new: int, chash: bytes) -> None:
        if old != NEVER:
            batch.clear_timer(clock, old, chash)
            self.timers -= 1
        if new != NEVER:
            batch.set_timer(clock, new, chash)
            self.timers += 1

    def _count(self, entry: Entry) -> None:
        now = _waits(entry.customer)
        if now != entry.parked:
            for place in entry.parked:
                self.parked[place] -= 1
            for place in now:
                self.parked[place] = self.parked.get(place, 0) + 1
            entry.parked = now


def _waits(customer: Customer) -> tuple[tuple[str, str], ...]:
    passages = customer.passages
    return tuple([(passage.flow, passage.wait) for passage in passages]) if passages else ()
