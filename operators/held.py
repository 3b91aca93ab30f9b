"""Events kept back with their customer, until the clock has passed a wake of hers that comes before them."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter

import msgspec

from operators.engine import Arrived
from state import event_codec, layout
from state.decisions import Cause
from state.events import ProductEvent
from state.records import TopicPartition
from state.store import Batch, ShardStore

HELD_MAX = 10_000  # of one shard; more, and the partitions furthest ahead are not read for a while

Place = tuple[int, str, int, int]
"""An event's time, topic, partition and offset, by which they are ordered."""

_encode = msgspec.msgpack.Encoder().encode
_Row = tuple[bytes, str, int, int, float]
_decode = msgspec.msgpack.Decoder(_Row).decode


class Held:
    """What a shard holds back, on disk and since the last write.

    Nearly all that is held comes free before the next write when a log is read from far back: it is never put into
    bytes.
    """

    def __init__(self, store: ShardStore) -> None:
        self.count = store.held_rows()
        self._store = store
        self._new: dict[bytes, dict[Place, Arrived]] = {}
        self._released: set[tuple[bytes, Place]] = set()

    @property
    def is_full(self) -> bool:
        return self.count >= HELD_MAX

    def keep(self, chash: bytes, arrived: Arrived) -> None:
        self._new.setdefault(chash, {})[_place(arrived)] = arrived
        self.count += 1

    def of(self, chash: bytes, count: int) -> list[tuple[Place, Arrived]]:
        """Hers in order of their places; she says how many there are."""
        new = self._new.get(chash, {})
        if len(new) == count:
            return sorted(new.items(), key=_key)  # as when a log is read from far back: none of them is on disk
        released = self._released
        stored = [_arrived(raw) for _, raw in self._store.held(chash)]
        rows = {place: each for each in stored if (chash, place := _place(each)) not in released}
        rows |= new
        return sorted(rows.items(), key=_key)

    def products(self, chash: bytes, count: int) -> set[str]:
        """What her events are about that are held back."""
        events = (arrived.event for _, arrived in self.of(chash, count))
        return {event.product_id for event in events if isinstance(event, ProductEvent)}

    def release(self, chash: bytes, places: list[Place]) -> None:
        """These were applied."""
        new = self._new.get(chash, {})
        for place in places:
            if new.pop(place, None) is None:
                self._released.add((chash, place))
        self.count -= len(places)

    def save(self, batch: Batch) -> Iterator[tuple[bytes, str]]:
        """Write what is still held; whose event about which product that is."""
        for chash, (at, topic, partition, offset) in self._released:
            batch.release(layout.held(chash, at, TopicPartition(topic, partition), offset))
        for chash, rows in self._new.items():
            for (at, topic, partition, offset), arrived in rows.items():
                raw = _encode((event_codec.encode(arrived.event), topic, partition, offset, arrived.appended_at))
                batch.hold(chash, at, TopicPartition(topic, partition), offset, raw)
                if isinstance(arrived.event, ProductEvent):
                    yield chash, arrived.event.product_id

    def saved(self) -> None:
        self._new.clear()
        self._released.clear()


_key = itemgetter(0)


def _place(arrived: Arrived) -> Place:
    cause = arrived.cause
    return arrived.event.at, cause.topic, cause.partition, cause.offset


def _arrived(raw: bytes) -> Arrived:
    event, topic, partition, offset, appended_at = _decode(raw)
    return Arrived(event_codec.decode(event), Cause(topic, partition, offset), appended_at)
