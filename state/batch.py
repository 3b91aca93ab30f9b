"""What one commit of a shard writes.  Nothing is on disk before `ShardStore.commit`."""

from __future__ import annotations

from collections.abc import Callable

from rocksdict import WriteBatch

from state import layout
from state.codec import Codec
from state.keys import Keys
from state.layout import CUSTOMER, ITEM, META, OUTBOX_LAST
from state.records import TopicPartition


class Batch:
    """Values are sealed as they come; the last word on a key counts.

    A batch whose commit failed for want of room may be committed again.
    """

    __slots__ = ("_codec", "_keys", "_lower", "_writes")

    def __init__(self, keys: Keys, codec: Codec, lower: Callable[[int, int], None]) -> None:
        self._writes: dict[bytes, bytes | None] = {}
        self._keys, self._codec, self._lower = keys, codec, lower

    def __len__(self) -> int:
        return len(self._writes)

    def put_customer(self, owner: bytes, value: bytes) -> None:
        self._put(CUSTOMER + owner, owner, value)

    def delete_customer(self, owner: bytes) -> None:
        self._writes[CUSTOMER + owner] = None

    def set_timer(self, clock: int, due: int, owner: bytes) -> None:
        self._lower(clock, due)
        self._writes[layout.timers(clock, due) + owner] = b""

    def clear_timer(self, clock: int, due: int, owner: bytes) -> None:
        self._writes[layout.timers(clock, due) + owner] = None

    def add_decision(self, owner: bytes, at: int, id: bytes, value: bytes) -> None:
        self._put(layout.decision(owner, at, id), owner, value)

    def add_outbox(self, seq: int, owner: bytes, topic: str, key: bytes, value: bytes) -> None:
        """Rows come with rising numbers, `ShardStore.last_outbox` + 1 and on."""
        place = layout.outbox(seq)
        sealed = self._codec.seal(self._keys.ensure(owner), place, layout.encode_row((topic, key, value)))
        self._writes[place] = owner + sealed
        self._writes[OUTBOX_LAST] = place[1:]

    def remove_outbox(self, seq: int) -> None:
        self._writes[layout.outbox(seq)] = None

    def set_watermark(self, tp: TopicPartition, offset: int, reached: int) -> None:
        """`offset` is the first one not taken in; `reached` the event time reached there."""
        self._writes[layout.watermark(tp)] = offset.to_bytes(8, "big") + reached.to_bytes(8, "big")

    def hold(self, owner: bytes, at: int, tp: TopicPartition, offset: int, value: bytes) -> bytes:
        """Keep an event back; the returned key sorts by time, topic, partition and offset."""
        key = layout.held(owner, at, tp, offset)
        self._put(key, owner, value)
        return key

    def release(self, key: bytes) -> None:
        self._writes[key] = None

    def put_item(self, item: bytes, value: bytes) -> None:
        """What is known of a product, which is nobody's: it is not encrypted."""
        self._writes[ITEM + item] = value

    def set_waiting(self, item: bytes, owner: bytes) -> None:
        self._writes[layout.waiting(item) + owner] = b""

    def clear_waiting(self, item: bytes, owner: bytes) -> None:
        self._writes[layout.waiting(item) + owner] = None

    def put_job(self, number: int, value: bytes) -> None:
        self._writes[layout.job(number)] = value

    def remove_job(self, number: int) -> None:
        self._writes[layout.job(number)] = None

    def set_meta(self, name: bytes, value: bytes) -> None:
        """Something small about the shard as a whole, never about a person: it is not encrypted."""
        self._writes[META + name] = value

    def writes(self) -> WriteBatch:
        """For RocksDB, which empties what it is given."""
        made = WriteBatch(raw_mode=True)
        put, delete = made.put, made.delete
        for key, value in self._writes.items():
            if value is None:
                delete(key)
            else:
                put(key, value)
        return made

    def _put(self, place: bytes, owner: bytes, value: bytes) -> None:
        self._writes[place] = self._codec.seal(self._keys.ensure(owner), place, value)
