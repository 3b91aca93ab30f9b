"""What the shop told of its products, and the news in it for customers who wait for one.

A record of the catalogue is nobody's: each shard hears it, and hands it on to those of its customers who wait.
"""

from __future__ import annotations

import msgspec

from state.events import Event, ProductEvent
from state.money import Money

CATALOGUE = "catalogue"
FILES = "replay"  # files of events hold all topics in one
TOLD_TO_ALL = frozenset({CATALOGUE, FILES})
CHANGED = "Product Changed"
DROP_PERCENT = 5  # a price that falls by less is no news


class Item(msgspec.Struct, gc=False, array_like=True, frozen=True):
    """A product as the catalogue told it last: its price, whether one can buy it, when each was said, and the event."""

    event: str = ""
    price: Money | None = None
    price_at: int = 0
    available: bool | None = None
    available_at: int = 0


class CatalogueChange(Event, frozen=True, kw_only=True, array_like=True, tag="catalogue_change"):
    """News of a product on its way to one customer who waits for it.

    `before` is the price that the catalogue told before; where it told none, what she saw counts.
    """

    product_id: str
    name: str = ""
    category: str = ""
    url: str = ""
    image_url: str = ""
    price: Money | None = None
    before: Money | None = None
    is_back: bool = False

    @property
    def subject(self) -> str:
        return self.product_id


class BackInStock(ProductEvent, frozen=True, kw_only=True, array_like=True, tag="back_in_stock"):
    """A product that she waits for can be bought, which the catalogue did not say before."""


class PriceDropped(ProductEvent, frozen=True, kw_only=True, array_like=True, tag="price_dropped"):
    """A product that she waits for is cheaper by `DROP_PERCENT` or more."""

    before: Money


class _Named(msgspec.Struct, gc=False):
    type: str | None = None
    event: str | None = None


_decode = msgspec.json.Decoder(_Named).decode
_CHANGED = CHANGED.encode()


def is_told_to_all(raw: bytes | None) -> bool:
    """Whether a record of one of these topics is the catalogue's word about a product, which all shards hear."""
    if raw is None or raw.find(_CHANGED) < 0:
        return False
    try:
        named = _decode(raw)
    except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError, OverflowError):
        return False
    return named.type == "track" and named.event == CHANGED


def has_dropped(before: Money, price: Money) -> bool:
    if price.currency != before.currency or not before.minor:
        return False
    return price.minor * 100 <= before.minor * (100 - DROP_PERCENT)
