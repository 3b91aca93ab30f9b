"""Where things lie in a shard's store: one-byte prefixes, then keys that sort the way they are read.

Customers are named by their keyed hashes, times are milliseconds, numbers are big-endian.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from state.ids import CUSTOMER_HASH_BYTES
from state.records import TopicPartition

META, WATERMARK, CUSTOMER, TIMER, DECISION, OUTBOX, HELD = (bytes((byte,)) for byte in b"MWCTDOH")
ITEM, WAITING, JOB = (bytes((byte,)) for byte in b"PIJ")
IDENTITY = META + b"format"
OUTBOX_LAST = META + b"outbox"
KEYS = b"keys"  # of META: up to where the key store had been written when this shard was

_OWNED = 1 + CUSTOMER_HASH_BYTES
_AT = _OWNED + 8

encode_row = msgspec.msgpack.Encoder().encode
decode_row = msgspec.msgpack.Decoder(tuple[str, bytes, bytes]).decode


class Row(NamedTuple):
    """A record on its way to a topic of ours."""

    seq: int
    owner: bytes
    topic: str
    key: bytes
    value: bytes


def watermark(tp: TopicPartition) -> bytes:
    return WATERMARK + partition(tp)


def watermark_of(place: bytes) -> TopicPartition:
    return TopicPartition(place[1:-5].decode(), int.from_bytes(place[-4:], "big"))


def partition(tp: TopicPartition) -> bytes:
    return tp.topic.encode() + b"\0" + tp.partition.to_bytes(4, "big")


def timers(clock: int, due: int) -> bytes:
    """What the keys of all timers of this moment begin with; the customer follows."""
    return TIMER + bytes((clock,)) + due.to_bytes(8, "big")


def timer_of(place: bytes) -> tuple[int, bytes]:
    """(due, customer)"""
    return int.from_bytes(place[2:10], "big"), place[10:]


def decision(owner: bytes, at: int, id: bytes) -> bytes:
    return DECISION + owner + at.to_bytes(8, "big") + id


def held(owner: bytes, at: int, tp: TopicPartition, offset: int) -> bytes:
    return HELD + owner + at.to_bytes(8, "big") + partition(tp) + offset.to_bytes(8, "big")


def owner_of(place: bytes) -> bytes:
    """The customer of a customer, decision or held-event key."""
    return place[1:_OWNED]


def time_of(place: bytes) -> int:
    """The time of a decision or held-event key."""
    return int.from_bytes(place[_OWNED:_AT], "big")


def outbox(seq: int) -> bytes:
    return OUTBOX + seq.to_bytes(8, "big")


def seq_of(place: bytes) -> int:
    return int.from_bytes(place[1:], "big")


def waiting(item: bytes) -> bytes:
    """What the keys of all who may wait for an item begin with; the customer follows."""
    return WAITING + item


def job(number: int) -> bytes:
    return JOB + number.to_bytes(8, "big")
