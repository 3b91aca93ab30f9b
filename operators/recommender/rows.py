"""What is known of one product: which products follow it and which come before it, weighted and bounded.

Weights decay forward (`decay.gain`).  The totals hold all that was ever added, what was cut off included: so a product
with many rare neighbours does not look as if it had a few sure ones.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

import msgspec

from state.store_errors import StoreDamaged, StoreRefused

VERSION = 1
WIDTH = 60  # neighbours kept on each side; a side is cut to it when it has grown by a quarter
HEAD = 20  # nearest neighbours, both sides together
_GROWN = WIDTH * 5 // 4
_Read = TypeVar("_Read")
_STALE = 1.1  # a head is found anew when its row has grown by so much


class Head(NamedTuple):
    """The nearest neighbours with their shares; packed, as most rows of a recommendation are asked for these alone."""

    products: tuple[str, ...]
    shares: array[float]

    def items(self) -> Iterator[tuple[str, float]]:
        return zip(self.products, self.shares, strict=True)


def packed(shares: dict[str, float]) -> Head:
    return Head(tuple(shares), array("d", shares.values()))


_NO_HEAD = packed({})


class Row:
    """One product's neighbours.  Change it by `follow` and `precede` only.

    `holds`: the last entry of the journal that a row from a store holds, see `journal`.
    """

    __slots__ = ("after", "after_total", "before", "before_total", "head", "head_total", "holds", "unread")

    def __init__(
        self,
        after: dict[str, float] | None = None,
        after_total: float = 0.0,
        before: dict[str, float] | None = None,
        before_total: float = 0.0,
    ) -> None:
        self.after = {} if after is None else after
        self.after_total = after_total
        self.before = {} if before is None else before
        self.before_total = before_total
        self.head, self.head_total = _NO_HEAD, 0.0
        self.holds = 0
        self.unread = _ALL_READ

    def follow(self, product: str, weight: float) -> None:
        """It came after this one."""
        after = self.after
        after[product] = after.get(product, 0.0) + weight
        self.after_total += weight
        if len(after) > _GROWN:
            self.after = cut(after, WIDTH)

    def precede(self, lessons: Iterable[tuple[str, float]], gain: float) -> None:
        """These came before this one, each with a weight, all of them worth so much now."""
        before, total = self.before, self.before_total
        for product, weight in lessons:
            weight *= gain
            before[product] = before.get(product, 0.0) + weight
            total += weight
        self.before_total = total
        if len(before) > _GROWN:
            self.before = cut(before, WIDTH)

    def share(self, product: str, doubt: float) -> float:
        """What `nearest` would give it, as things are now and were it among them."""
        after, before = self.after.get(product), self.before.get(product)
        if after is None:
            return 0.0 if before is None else 0.5 * (before / (self.before_total + doubt))
        after /= self.after_total + doubt
        return 0.5 * (after if before is None else after + before / (self.before_total + doubt))

    def nearest(self, doubt: float) -> Head:
        """The nearest neighbours on both sides with their shares; as they were until the row has grown noticeably."""
        total = self.after_total + self.before_total
        if total > self.head_total * _STALE:
            after, before = 0.5 / (self.after_total + doubt), 0.5 / (self.before_total + doubt)
            shares = {product: weight * after for product, weight in self.after.items()}
            get = shares.get
            for product, weight in self.before.items():
                shares[product] = get(product, 0.0) + weight * before
            self.head, self.head_total = packed(cut(shares, HEAD)), total
        return self.head


class _Unread(Row):
    """A row from a store, whose sides are read when they are asked for.

    `Row` itself does without `__getattr__`: Python takes longer to find any attribute of a class that has it.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> dict[str, float]:
        if name not in _SIDES:
            raise AttributeError(name)
        side = decoded(_decode_side, self.unread[name])
        setattr(self, name, side)
        del self.unread[name]
        if not self.unread:
            self.unread = _ALL_READ
            self.__class__ = Row  # type: ignore[assignment]
        return side

    def __reduce__(self) -> tuple[object, ...]:
        return from_bytes, (to_bytes(self, self.holds),)


def cut(weights: dict[str, float], width: int) -> dict[str, float]:
    """The heaviest, in this order; of equal ones those that came first."""
    if len(weights) <= width:
        return weights
    # Floats by themselves sort several times as fast as pairs, of which few are left then.
    least = sorted(weights.values())[-width]
    heaviest = [each for each in weights.items() if each[1] >= least]
    heaviest.sort(key=_weight, reverse=True)
    return dict(heaviest[:width])


_weight = itemgetter(1)


class _Stored(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A row as bytes; sides are maps of weights by product.  Fields are only ever added at the end, with a default."""

    after_total: float
    after: msgspec.Raw
    before_total: float
    before: msgspec.Raw
    head_total: float = 0.0
    head: dict[str, float] = {}
    holds: int = 0


_SIDES = ("after", "before")
_ALL_READ: dict[str, msgspec.Raw] = {}
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode
_decode_side = msgspec.msgpack.Decoder(dict[str, float]).decode
_VERSION_BYTE = bytes((VERSION,))


def to_bytes(row: Row, holds: int = 0) -> bytes:
    """As it is kept, with the last entry of the journal that it holds."""
    after, before = (_as_written(row, name) for name in _SIDES)
    stored = _Stored(row.after_total, after, row.before_total, before, row.head_total, dict(row.head.items()), holds)
    return _VERSION_BYTE + _encode(stored)


def _as_written(row: Row, side: str) -> Any:
    return row.unread[side] if side in row.unread else getattr(row, side)


def from_bytes(stored: bytes) -> Row:
    """Raises `StoreRefused` for bytes of a newer version, `StoreDamaged` for what is no row (of a side: later)."""
    check_version(stored, VERSION)
    found = decoded(_decode, memoryview(stored)[1:])
    row = _Unread(None, found.after_total, None, found.before_total)
    row.head, row.head_total, row.holds = packed(found.head), found.head_total, found.holds
    row.unread = {"after": found.after, "before": found.before}
    del row.after, row.before
    return row


def decoded(decode: Callable[[Any], _Read], stored: memoryview | msgspec.Raw | bytes) -> _Read:
    """Raises `StoreDamaged` for what is not as it was written."""
    try:
        return decode(stored)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise damaged(error) from None


def check_version(stored: bytes, known: int) -> None:
    if not stored or stored[0] > known:
        raise StoreRefused(
            f"recommender: a record was written by a newer version (format {stored[0] if stored else 'none'}, this one "
            f"knows {known}). Start the newer version again."
        )


def damaged(error: Exception) -> StoreDamaged:
    return StoreDamaged(
        f"recommender: a record is not as it was written ({error}). Delete the recommender's folder: it learns anew "
        "from the log."
    )
