"""How many customers rest where, counted with every write, so that nobody has to read them all."""

from __future__ import annotations

import msgspec

from state.store import ShardStore

META = b"counts"
Parked = dict[tuple[str, str], int]
_Stored = tuple[list[tuple[str, str, int]], int]


def parked_in(store: ShardStore) -> Parked:
    """How many customers rest at each (flow, wait) of a shard."""
    return decode(store.meta(META))[0]


def decode(raw: bytes | None) -> tuple[Parked, int]:
    """The customers parked at each (flow, wait), and the timers of a shard."""
    parked, timers = msgspec.msgpack.decode(raw, type=_Stored) if raw else ([], 0)
    return {(flow, wait): count for flow, wait, count in parked}, timers


def encode(parked: Parked, timers: int) -> bytes:
    return msgspec.msgpack.encode(([(flow, wait, count) for (flow, wait), count in parked.items() if count], timers))
