"""Events as they rest inside customers' records: msgpack, tagged by kind, append-only in form."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

import msgspec

from state import carts, catalogue, events, orders
from state.events import Event


def _kinds(base: type[Event]) -> list[type[Event]]:
    return [base, *(kind for child in base.__subclasses__() for kind in _kinds(child))]


_OURS = {each.__name__ for each in (events, carts, orders, catalogue)}
KINDS = tuple(kind for kind in _kinds(Event) if kind.__module__ in _OURS)
_union: Any = reduce(or_, KINDS)
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(_union)


def encode(event: Event) -> bytes:
    return _encoder.encode(event)


def decode(raw: bytes) -> Event:
    """Raises `msgspec.MsgspecError` for bytes that are no event of this version."""
    event: Event = _decoder.decode(raw)
    return event
