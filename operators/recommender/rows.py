"""What is known of one product: which products follow it and which come before it, weighted and bounded.

Weights decay forward (`decay.gain`).  The totals hold all that was ever added, what was cut off included: so a product
with many rare neighbours does not look as if it had a few sure ones.
"""

from __future__ import annotations

from operator import itemgetter

import msgspec

from state.store_errors import StoreDamaged, StoreRefused

VERSION = 1
WIDTH = 80  # neighbours kept on each side; a side is cut to it when it has grown by a quarter
HEAD = 20  # nearest neighbours, both sides together
_GROWN = WIDTH * 5 // 4
_STALE = 1.1  # a head is found anew when its row has grown by so much


class Row:
    """One product's neighbours.  Change it by `follow` and `precede` only."""

    __slots__ = ("after", "after_total", "before", "before_total", "head", "head_total")

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
        self.head: dict[str, float] = {}
        self.head_total = 0.0

    def follow(self, product: str, weight: float) -> None:
        """It came after this one."""
        after = self.after
        after[product] = after.get(product, 0.0) + weight
        self.after_total += weight
        if len(after) > _GROWN:
            self.after = cut(after, WIDTH)

    def precede(self, product: str, weight: float) -> None:
        """It came before this one."""
        before = self.before
        before[product] = before.get(product, 0.0) + weight
        self.before_total += weight
        if len(before) > _GROWN:
            self.before = cut(before, WIDTH)

    def share(self, product: str, doubt: float) -> float:
        """What `nearest` would give it, as things are now and were it among them."""
        after = self.after.get(product, 0.0) / (self.after_total + doubt)
        return 0.5 * (after + self.before.get(product, 0.0) / (self.before_total + doubt))

    def nearest(self, doubt: float) -> dict[str, float]:
        """The nearest neighbours on both sides with their shares; as they were until the row has grown noticeably."""
        total = self.after_total + self.before_total
        if total > self.head_total * _STALE:
            after, before = 0.5 / (self.after_total + doubt), 0.5 / (self.before_total + doubt)
            shares = {product: weight * after for product, weight in self.after.items()}
            for product, weight in self.before.items():
                shares[product] = shares.get(product, 0.0) + weight * before
            self.head, self.head_total = cut(shares, HEAD), total
        return self.head


def cut(weights: dict[str, float], width: int) -> dict[str, float]:
    """The heaviest."""
    # Sorted as a whole: for these sizes less work than a heap of the best.
    return dict(sorted(weights.items(), key=_weight, reverse=True)[:width]) if len(weights) > width else weights


_weight = itemgetter(1)


class _Stored(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A row as bytes.  Fields are only ever added at the end, with a default."""

    after_total: float
    after: dict[str, float]
    before_total: float
    before: dict[str, float]
    head_total: float = 0.0
    head: dict[str, float] = {}


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode
_VERSION_BYTE = bytes((VERSION,))


def to_bytes(row: Row) -> bytes:
    stored = _Stored(row.after_total, row.after, row.before_total, row.before, row.head_total, row.head)
    return _VERSION_BYTE + _encode(stored)


def from_bytes(stored: bytes) -> Row:
    """Raises `StoreRefused` for bytes of a newer version, `StoreDamaged` for what is no row."""
    check_version(stored, VERSION)
    try:
        read = _decode(memoryview(stored)[1:])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise damaged(error) from None
    row = Row(read.after, read.after_total, read.before, read.before_total)
    row.head, row.head_total = read.head, read.head_total
    return row


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
