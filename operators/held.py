"""Events kept back with their customer, until the clock has passed a wake of hers that comes before them."""

from __future__ import annotations

import msgspec

from operators.engine import Arrived
from state import event_codec
from state.decisions import Cause
from state.records import TopicPartition
from state.store import Batch, ShardStore

HELD_MAX = 10_000  # of one shard; more, and the partitions furthest ahead are not read for a while

_encode = msgspec.msgpack.Encoder().encode
_Row = tuple[bytes, str, int, int, float]
_decode = msgspec.msgpack.Decoder(_Row).decode


class Held:
    """What a shard holds back, on disk and in the batch being made."""

    def __init__(self, store: ShardStore) -> None:
        self.count = store.held_rows()
        self._store = store
        self._new: dict[bytes, dict[bytes, bytes]] = {}
        self._released: set[bytes] = set()

    @property
    def is_full(self) -> bool:
        return self.count >= HELD_MAX

    def keep(self, batch: Batch, chash: bytes, arrived: Arrived) -> None:
        event, (topic, partition, offset) = arrived.event, _place(arrived.cause)
        raw = _encode((event_codec.encode(event), topic, partition, offset, arrived.appended_at))
        key = batch.hold(chash, event.at, TopicPartition(topic, partition), offset, raw)
        self._new.setdefault(chash, {})[key] = raw
        self.count += 1

    def of(self, chash: bytes) -> list[tuple[bytes, Arrived]]:
        """Hers in order of time, topic, partition and offset, each with its key."""
        rows = dict(self._store.held(chash)) | self._new.get(chash, {})
        return [(key, _arrived(rows[key])) for key in sorted(rows) if key not in self._released]

    def release(self, batch: Batch, keys: list[bytes]) -> None:
        """These were applied."""
        for key in keys:
            batch.release(key)
            self._released.add(key)
        self.count -= len(keys)

    def saved(self) -> None:
        self._new.clear()
        self._released.clear()


def _place(cause: Cause) -> tuple[str, int, int]:
    return cause.topic, cause.partition, cause.offset


def _arrived(raw: bytes) -> Arrived:
    event, topic, partition, offset, appended_at = _decode(raw)
    return Arrived(event_codec.decode(event), Cause(topic, partition, offset), appended_at)
