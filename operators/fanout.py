"""News of the catalogue on their way to the customers of one shard who wait for a product.

What the catalogue tells is written down with the batch that read it, and worked off in small bites, so that however
many wait, nobody else does.  Nobody is touched by anything later before the news have reached her: so what is decided
does not depend on how fast they are worked off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from operators import catalogue
from operators.engine import Arrived
from operators.residents import Entry
from state.catalogue import BackInStock, CatalogueChange, Item, PriceDropped
from state.customer import Customer
from state.decisions import Cause
from state.decode import Rejected
from state.events import Event, ProductChanged, ProductEvent
from state.records import Record, TopicPartition
from state.store import Batch

if TYPE_CHECKING:
    from operators.shard import Shard

JOBS_MAX = 256  # news that are on their way at once; what is more is worked off before anything else
BITE_MAX = 4  # customers in one write, and
NEWS_A_WRITE = 512  # where nobody waits
WORDS_MAX = 4_096
META = b"changes"

_Stored = tuple[bytes, CatalogueChange, str, int, int, int, bytes]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode
_item = msgspec.msgpack.Decoder(Item).decode


class Pace:
    """How many customers a process hands news to: so many a second, shared by its shards."""

    def __init__(self, per_second: int = 600, most: int = BITE_MAX) -> None:
        self._per_ms, self._most = per_second / 1000, float(most)
        self._left, self._at = 0.0, 0

    def allow(self, wall: int) -> int:
        """How many may hear now (milliseconds)."""
        self._left = min(self._most, self._left + max(0, wall - self._at) * self._per_ms)
        self._at = wall
        allowed = int(self._left)
        self._left -= allowed
        return allowed


class Words:
    """What the catalogue told last, decoded once for all shards of a process."""

    def __init__(self, most: int = WORDS_MAX) -> None:
        self._known: dict[tuple[TopicPartition, int], Event | Rejected] = {}
        self._most = most

    def get(self, tp: TopicPartition, offset: int) -> Event | Rejected | None:
        return self._known.get((tp, offset))

    def keep(self, tp: TopicPartition, offset: int, word: Event | Rejected) -> None:
        self._known[tp, offset] = word
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]


@dataclass(slots=True)
class _Job:
    """News, and the last customer of the shard who waited for the product and has heard."""

    number: int
    item: bytes
    change: CatalogueChange
    cause: Cause
    appended_ms: int
    cursor: bytes = b""
    is_stored: bool = False

    def is_later_than(self, event: Event, cause: Cause) -> bool:
        if cause.partition == self.cause.partition:
            return self.cause.offset > cause.offset
        return self.change.at >= event.at

    def row(self) -> bytes:
        cause = self.cause
        stored = (self.item, self.change, cause.topic, cause.partition, cause.offset, self.appended_ms, self.cursor)
        return _encode(stored)


class Fanout:
    """The part of a shard that hears of products."""

    def __init__(self, shard: Shard) -> None:
        self._shard, self._store = shard, shard.store
        around = shard.around
        self._listens = any(around.program.listening(kind) for kind in (BackInStock, PriceDropped))
        self._items: dict[bytes, Item] = {}  # of the batch being made
        self._jobs: dict[int, _Job] = {}
        self._by_product: dict[str, list[_Job]] = {}
        self._moved: set[int] = set()
        self._windows: list[dict[str, list[_Job]]] = [{}, {}]  # replay: the news of each product between two marks,
        self._window_at: int | None = None  # and since when the last ones come
        self._visitors: list[bytes] = []  # who were read for the news alone
        noted = self._store.meta(META)
        self._last = int.from_bytes(noted, "big") if noted else 0
        for number, raw in self._store.jobs():
            self._add(_job(number, raw))

    @property
    def count(self) -> int:
        """News that some have yet to hear."""
        return len(self._jobs)

    @property
    def has_news(self) -> bool:
        """Whether there is something to write."""
        return bool(self._items or self._moved)

    def take(self, tp: TopicPartition, record: Record, event: ProductChanged) -> None:
        """A word of the catalogue."""
        if not self._listens:
            return
        place = self._shard.around.ids.item(event.product_id)
        known = self._items.get(place)
        if known is None and (raw := self._store.item(place)) is not None:
            known = _item(raw)
        self._items[place], change = catalogue.changed(known, event)
        if change is not None:
            self._last += 1
            cause = Cause(tp.topic, tp.partition, record.offset)
            job = _Job(self._last, place, change, cause, record.timestamp_ms)
            self._add(job)
            if self._shard.around.engine.links == "marks":
                self._keep(job)

    def reach(self, chash: bytes, entry: Entry) -> None:
        """Let a customer hear what she waits for and has not heard, before anything later touches her."""
        customer = entry.customer
        if not self._jobs or customer.changes_heard >= self._last:
            return
        before, customer.changes_heard = customer.changes_heard, self._last
        products = self._found_by(chash, customer)
        found = [job for product in products for job in self._by_product.get(product, ()) if job.number > before]
        for job in sorted(found, key=lambda job: job.number):
            self._tell(chash, entry, job)

    def reach_again(self, chash: bytes, entry: Entry, arrived: Arrived) -> None:
        """What she did as somebody else came by way of a mark: she hears what was said of the product since."""
        event, cause = arrived.event, arrived.cause
        if isinstance(event, ProductEvent):
            for window in self._windows:
                for job in window.get(event.product_id, ()):
                    if job.is_later_than(event, cause):
                        self._tell(chash, entry, job)

    def go_on(self, wall: int, *, wait: bool) -> None:
        """A bite, and its write; on replay, and where the catalogue tells more than can be kept, all at once.

        `wait` where something was decided that is not told yet: it is told first, and the next word of progress has
        nothing to hurry for.
        """
        around = self._shard.around
        most = around.pace.allow(wall) if self._jobs and not (wait and around.publishes) else 0
        least = JOBS_MAX if around.publishes else 0
        while most or self.count > least:
            self.bite(most or NEWS_A_WRITE)
            self._shard.write()
            most = 0

    def bite(self, most: int) -> None:
        """Let so many of those who wait hear the news that came first."""
        while most > 0 and (job := self._next()) is not None:
            rows = self._store.waiting(job.item, job.cursor, most)
            for chash in rows:
                self._visit(chash, job)
            self._moved.add(job.number)
            if len(rows) < most:
                self._drop(job)
            else:
                job.cursor = rows[-1]
            most -= max(1, len(rows))

    def save(self, batch: Batch, indexed: set[bytes]) -> None:
        """Put into a batch what was heard and how far it has come; `indexed` are items that are waited for since."""
        for place, item in self._items.items():
            batch.put_item(place, msgspec.msgpack.encode(item))
        for job in [job for job in self._jobs.values() if not job.is_stored]:
            if job.item in indexed or self._store.waiting(job.item, b"", 1):
                self._moved.add(job.number)
            else:
                self._drop(job)
        for number in self._moved:
            if number in self._jobs:
                batch.put_job(number, self._jobs[number].row())
            else:
                batch.remove_job(number)
        batch.set_meta(META, self._last.to_bytes(8, "big"))

    def saved(self) -> None:
        """The batch is on disk."""
        for number in self._moved:
            if number in self._jobs:
                self._jobs[number].is_stored = True
        for chash in self._visitors:
            self._shard.residents.let_go(chash)
        self._items.clear()
        self._moved.clear()
        self._visitors.clear()

    def _found_by(self, chash: bytes, customer: Customer) -> set[str]:
        """What she is found by; no more than the index has of her, or pace would decide what she hears."""
        all_of_them = self._shard.around.engine.meeting.may_bring(customer)
        products = {name for name, interest in customer.interests.items() if all_of_them or interest.waits}
        return products | self._shard.held.products(chash, customer.held) if customer.held else products

    def _tell(self, chash: bytes, entry: Entry, job: _Job) -> None:
        customer = entry.customer
        at = TopicPartition(job.cause.topic, job.cause.partition)
        event = msgspec.structs.replace(job.change, customer=customer.id)
        arrived = Arrived(event, job.cause, job.appended_ms / 1000)
        record = Record(job.cause.offset, customer.id.encode(), b"", job.appended_ms)
        self._shard.arrive(chash, entry, arrived, (at, record), news=True)

    def _visit(self, chash: bytes, job: _Job) -> None:
        residents = self._shard.residents
        if not residents.is_cached(chash):
            self._visitors.append(chash)
        entry = residents.entry(chash)
        customer = entry.customer
        if job.change.product_id not in self._found_by(chash, customer):
            self._shard.batch.clear_waiting(job.item, chash)
        if customer.id:
            self.reach(chash, entry)

    def _next(self) -> _Job | None:
        return next((job for job in self._jobs.values() if job.is_stored), None)

    def _add(self, job: _Job) -> None:
        self._jobs[job.number] = job
        self._by_product.setdefault(job.change.product_id, []).append(job)

    def _keep(self, job: _Job) -> None:
        """For those who hear at a mark, or at the next one, what they did before the news."""
        now = self._shard.clock.now
        if now != self._window_at:
            self._windows, self._window_at = [self._windows[-1], {}], now
        self._windows[-1].setdefault(job.change.product_id, []).append(job)

    def _drop(self, job: _Job) -> None:
        del self._jobs[job.number]
        others = self._by_product[job.change.product_id]
        others.remove(job)
        if not others:
            del self._by_product[job.change.product_id]


def _job(number: int, raw: bytes) -> _Job:
    item, change, topic, partition, offset, appended_ms, cursor = _decode(raw)
    return _Job(number, item, change, Cause(topic, partition, offset), appended_ms, cursor, is_stored=True)
