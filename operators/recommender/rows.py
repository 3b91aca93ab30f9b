"""What is known of one product: which products follow it and which come before, weighted, decayed and bounded.

Weights decay forward: instead of shrinking what is old, what is new counts more, measured from the row's own `since`.
So an event touches one weight, not the row, and the shares within a row need no clock to be read.
"""

from __future__ import annotations

import heapq

import msgspec

from state.store_errors import StoreDamaged, StoreRefused

VERSION = 1
WIDTH = 100  # successors that are kept; a row is cut to it when it has grown by a quarter
_GROWN = WIDTH * 5 // 4
_DOUBLINGS_MAX = 40.0  # beyond it weights are measured from a new `since`, long before floats lose their grain
_FORGOTTEN = 1e-3  # of a row's total: what is not worth its bytes any more


class Weights:
    """Products with weights, and the sum of all that were ever added, those cut off included."""

    __slots__ = ("of", "total")

    def __init__(self, of: dict[str, float] | None = None, total: float = 0.0) -> None:
        self.of = {} if of is None else of
        self.total = total

    def add(self, product: str, weight: float) -> None:
        of = self.of
        of[product] = of.get(product, 0.0) + weight
        self.total += weight
        if len(of) > _GROWN:
            self.of = dict(heapq.nlargest(WIDTH, of.items(), key=lambda each: each[1]))

    def scale(self, factor: float) -> None:
        self.total *= factor
        least = self.total * _FORGOTTEN
        self.of = {product: scaled for product, weight in self.of.items() if (scaled := weight * factor) > least}


class Row:
    """One product's row.  `since` in ms: where its weights are measured from."""

    __slots__ = ("after", "before", "since")

    def __init__(self, since: int, after: Weights | None = None, before: Weights | None = None) -> None:
        self.since = since
        self.after = after or Weights()
        self.before = before or Weights()

    def gain(self, at: int, half_life_ms: float) -> float:
        """What an event at this moment counts; more the later it is."""
        doublings = (at - self.since) / half_life_ms
        if doublings > _DOUBLINGS_MAX:
            factor: float = 2.0**-doublings
            self.after.scale(factor)
            self.before.scale(factor)
            self.since, doublings = at, 0.0
        return float(2.0**doublings)


class _Stored(msgspec.Struct, array_like=True, frozen=True):
    """A row as bytes.  Fields are only ever added at the end, with a default."""

    since: int
    after_total: float
    after: dict[str, float]
    before_total: float
    before: dict[str, float]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode
_VERSION_BYTE = bytes((VERSION,))


def to_bytes(row: Row) -> bytes:
    stored = _Stored(row.since, row.after.total, row.after.of, row.before.total, row.before.of)
    return _VERSION_BYTE + _encode(stored)


def from_bytes(stored: bytes) -> Row:
    """Raises `StoreRefused` for bytes of a newer version, `StoreDamaged` for what is no row."""
    if not stored or stored[0] > VERSION:
        raise StoreRefused(
            f"recommender row: written by a newer version (format {stored[0] if stored else 'none'}, this one knows "
            f"{VERSION}). Start the newer version again."
        )
    try:
        read = _decode(memoryview(stored)[1:])
    except msgspec.MsgspecError as error:
        raise StoreDamaged(
            f"recommender row: not as it was written ({error}). Delete the recommender's folder: it learns anew from "
            "the log."
        ) from None
    return Row(read.since, Weights(read.after, read.after_total), Weights(read.before, read.before_total))
