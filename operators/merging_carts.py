"""Carts of two records of one customer become hers.

A cart that both have is put together line by line.  An order that closed no cart where it was told closes the cart of
the other record that it would have closed there.
"""

from __future__ import annotations

import msgspec

from operators.carts import changed_last
from state.carts import LINES_MAX, Cart, CartOrdered, Line
from state.customer import CARTS_MAX, Customer
from state.events import Event


def merge(known: Customer, other: Customer) -> list[Event]:
    """The facts that follow: carts that were bought."""
    bought = [*_close(other, known), *_close(known, other)]
    carts = {cart_id: msgspec.structs.replace(cart) for cart_id, cart in known.carts.items()}
    for cart_id, cart in other.carts.items():
        carts[cart_id] = _one(carts[cart_id], cart) if cart_id in carts else cart
    # The order of the carts is the order of their changes; those that were bought go first.
    kept = sorted(carts.values(), key=lambda each: (bool(each.lines), each.changed_at))[-CARTS_MAX:]
    known.carts = {cart.cart_id: cart for cart in sorted(kept, key=lambda each: each.changed_at)}
    known.unmatched_order_at = max(known.unmatched_order_at, other.unmatched_order_at)
    facts: list[Event] = []
    for cart_id, at in bought:
        facts.append(CartOrdered(id=f"{cart_id}-{at}", customer=known.id, at=at, cart_id=cart_id))
    return facts


def _close(whose: Customer, by: Customer) -> list[tuple[str, int]]:
    """The order of one that found no cart, and the cart of the other that it was about: (cart, moment)."""
    at = by.unmatched_order_at
    cart = changed_last(whose, at) if at else None
    if cart is None:
        return []
    by.unmatched_order_at = 0
    cart.ordered_at = max(cart.ordered_at, at)
    cart.lines = [line for line in cart.lines if line.changed_at > at]
    return [(cart.cart_id, at)]


def _one(mine: Cart, hers: Cart) -> Cart:
    later, earlier = (mine, hers) if mine.changed_at >= hers.changed_at else (hers, mine)
    ordered_at = max(mine.ordered_at, hers.ordered_at)
    lines: dict[str, Line] = {}
    for line in (*earlier.lines, *later.lines):
        if line.changed_at > ordered_at:
            known = lines.get(line.product_id)
            lines[line.product_id] = line if known is None else _line(known, line)
    kept = sorted(lines.values(), key=lambda each: each.changed_at)[-LINES_MAX:]
    first = min((line.changed_at for line in kept), default=None)
    emptied = [at for at in (mine.emptied_at, hers.emptied_at) if first is None or at <= first]
    return msgspec.structs.replace(
        later,
        lines=kept,
        ordered_at=ordered_at,
        emptied_at=max(emptied, default=0),
        currency=later.currency or earlier.currency,
    )


def _line(one: Line, other: Line) -> Line:
    later, earlier = (one, other) if one.changed_at >= other.changed_at else (other, one)
    return msgspec.structs.replace(
        later,
        quantity=one.quantity + other.quantity,
        price=later.price or earlier.price,
        name=later.name or earlier.name,
        url=later.url or earlier.url,
        image_url=later.image_url or earlier.image_url,
        category=later.category or earlier.category,
    )
