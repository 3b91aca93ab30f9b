"""Carts, and the facts that follow from what happens to them.

A shop tells of products added and removed and of orders; what flows want to hear is that a cart
changed, was emptied, or was bought.  These facts are events too, so a flow names them like any other.
"""

from __future__ import annotations

import msgspec

from state.events import Event
from state.money import Money

LINES_MAX = 100


class Line(msgspec.Struct, gc=False, array_like=True):
    """One product in a cart, at its latest price."""

    product_id: str
    quantity: int
    changed_at: int
    price: Money | None = None
    name: str = ""
    url: str = ""
    image_url: str = ""
    category: str = ""


class Cart(msgspec.Struct, gc=False, array_like=True):
    """An open cart, or one that was bought (`ordered_at`) and is kept so that late events do not reopen it."""

    cart_id: str
    changed_at: int
    changed_by: str = ""  # the id of the event that changed it last
    lines: list[Line] = []
    ordered_at: int = 0
    emptied_at: int = 0
    currency: str = ""


class CartEvent(Event, frozen=True, kw_only=True, array_like=True, tag="cart"):
    """Something that concerns one cart of a customer."""

    cart_id: str

    @property
    def subject(self) -> str:
        return self.cart_id


class CartChanged(CartEvent, frozen=True, kw_only=True, array_like=True, tag="cart_changed"):
    """A product was added to or removed from a cart, which is not empty now."""

    lines: tuple[Line, ...] = ()
    currency: str = ""

    @property
    def total(self) -> Money:
        """What is in the cart, in its currency; lines without a price or in another currency count as nothing."""
        minor = 0
        for line in self.lines:
            if line.price is not None and line.price.currency == self.currency:
                minor += line.quantity * line.price.minor
        return Money(minor, self.currency)


class CartEmptied(CartEvent, frozen=True, kw_only=True, array_like=True, tag="cart_emptied"):
    """The last product left the cart."""


class CartOrdered(CartEvent, frozen=True, kw_only=True, array_like=True, tag="cart_ordered"):
    """All that was in the cart was bought."""

    order_id: str = ""
