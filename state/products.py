"""What is remembered of a customer and single products: what she looked at, had in a cart and bought.

Kept only where a flow asks for it, and bounded: the products touched last, their words only of the newest few.
"""

from __future__ import annotations

import msgspec

from state.money import Money

INTERESTS_MAX = 64  # products touched last
WORDS_MAX = 12  # of them keep their name and links, so that a mail can show them
INTEREST_MS = 31 * 24 * 3600 * 1000  # what was not touched for so long is forgotten


class Interest(msgspec.Struct, gc=False, array_like=True):
    """One product that a customer touched: when she saw it last and the time before, when it was in her cart last, and
    the price she saw last.  Times in milliseconds, 0 for never."""

    viewed_at: int = 0
    viewed_before_at: int = 0
    in_cart_at: int = 0
    price: Money | None = None
    name: str = ""
    url: str = ""
    image_url: str = ""

    @property
    def waits(self) -> bool:
        """Whether she may wait for news of it: she saw it twice, or had it in a cart."""
        return bool(self.viewed_before_at or self.in_cart_at)

    @property
    def touched_at(self) -> int:
        return self.viewed_at if self.viewed_at > self.in_cart_at else self.in_cart_at
