"""What product and order events do to a customer's carts.

Events may come late.  A cart then ends up as if they had come in order, as far as one record can tell:
lines carry the time of their change, an order takes what was in its cart by then, and what is older
than the order or the emptying of a cart no longer touches it.
"""

from __future__ import annotations

import msgspec

from state import events as ev
from state.carts import LINES_MAX, Cart, CartChanged, CartEmptied, CartOrdered, Line
from state.customer import CARTS_MAX, Customer
from state.events import Event
from state.ids import Ids


def added(customer: Customer, event: ev.ProductAdded, _: Ids) -> tuple[Event, ...]:
    customer.last_added_at = max(customer.last_added_at, event.at)
    cart = _open(customer, event)
    if cart is None:
        return ()
    quantity = 1 if event.quantity is None else event.quantity
    line = next((line for line in cart.lines if line.product_id == event.product_id), None)
    if line is None:
        if not quantity or len(cart.lines) >= LINES_MAX:
            return _changed(customer, cart, event)
        line = Line(event.product_id, 0, event.at)
        cart.lines.append(line)
    line.quantity += quantity
    if event.at >= line.changed_at:
        line.changed_at = event.at
        line.price = event.price or line.price
        line.name = event.name or line.name
        line.url = event.url or line.url
        line.image_url = event.image_url or line.image_url
        line.category = event.category or line.category
        if event.price is not None:
            cart.currency = event.price.currency
    return _changed(customer, cart, event)


def removed(customer: Customer, event: ev.ProductRemoved, _: Ids) -> tuple[Event, ...]:
    cart = _open(customer, event)
    if cart is None:
        return ()
    line = next((line for line in cart.lines if line.product_id == event.product_id), None)
    if line is not None:
        line.quantity -= line.quantity if event.quantity is None else min(event.quantity, line.quantity)
        line.changed_at = max(line.changed_at, event.at)
        if not line.quantity:
            cart.lines.remove(line)
    return _changed(customer, cart, event)


def ordered(customer: Customer, event: ev.OrderCompleted, _: Ids) -> tuple[Event, ...]:
    customer.orders += 1
    customer.last_order_at = max(customer.last_order_at, event.at)
    customer.first_order_at = min(customer.first_order_at or event.at, event.at)
    cart = customer.carts.get(event.cart_id) if event.cart_id else changed_last(customer, event.at)
    if cart is None:
        if not event.cart_id:
            customer.unmatched_order_at = max(customer.unmatched_order_at, event.at)
            return ()
        cart = _keep(customer, Cart(event.cart_id, event.at))
    cart.ordered_at = max(cart.ordered_at, event.at)
    left = [line for line in cart.lines if line.changed_at > event.at]
    correction = bool(left) and len(left) < len(cart.lines)
    cart.lines = left
    bought = CartOrdered(
        id=event.id,
        customer=event.customer,
        at=event.at,
        locale=event.locale,
        time_zone=event.time_zone,
        cart_id=cart.cart_id,
        order_id=event.order_id,
    )
    return (bought, _as_it_is(customer, cart, event)) if correction else (bought,)


def _open(customer: Customer, event: ev.ProductEvent) -> Cart | None:
    """The cart an event is about; None where the event is older than the cart's order or emptying."""
    cart = customer.carts.get(event.cart_id)
    if cart is None:
        cart = _keep(customer, Cart(event.cart_id, event.at))
    if max(cart.ordered_at, cart.emptied_at) <= event.at < customer.unmatched_order_at:
        # The order came first, and this is the cart it closed.
        cart.ordered_at, customer.unmatched_order_at = customer.unmatched_order_at, 0
    return None if event.at < cart.ordered_at or event.at < cart.emptied_at else cart


def _keep(customer: Customer, cart: Cart) -> Cart:
    carts = customer.carts
    carts[cart.cart_id] = cart
    if len(carts) > CARTS_MAX:
        # Those that were bought go first, then the one untouched for longest.
        others = (each for each in carts.values() if each is not cart)
        del carts[min(others, key=lambda each: (bool(each.lines), each.changed_at)).cart_id]
    return cart


def changed_last(customer: Customer, at: int) -> Cart | None:
    """Of the open carts, the one changed last at or before this moment."""
    found: Cart | None = None
    last = -1
    for cart in customer.carts.values():
        if not cart.lines:
            continue
        if cart.changed_at <= at:
            changed = cart.changed_at
        else:
            # It changed again since; what is known of before is when its lines did.
            changed = max((line.changed_at for line in cart.lines if line.changed_at <= at), default=-1)
        if changed >= 0 and changed >= last:
            found, last = cart, changed
    return found


def _changed(customer: Customer, cart: Cart, event: ev.ProductEvent) -> tuple[Event, ...]:
    if event.at >= cart.changed_at or not cart.changed_by:
        cart.changed_at, cart.changed_by = event.at, event.id
        # The order of the carts is the order of their changes, which tells those of one instant apart.
        customer.carts[cart.cart_id] = customer.carts.pop(cart.cart_id)
    if cart.lines:
        return (_as_it_is(customer, cart, event),)
    cart.emptied_at = max(cart.emptied_at, event.at)
    return (
        CartEmptied(
            id=event.id,
            customer=event.customer,
            at=event.at,
            locale=event.locale,
            time_zone=event.time_zone,
            cart_id=cart.cart_id,
        ),
    )


def _as_it_is(customer: Customer, cart: Cart, event: Event) -> CartChanged:
    """The last change of the cart, with what is in it now."""
    return CartChanged(
        id=cart.changed_by,
        customer=event.customer,
        at=cart.changed_at,
        locale=event.locale,
        time_zone=event.time_zone,
        cart_id=cart.cart_id,
        lines=tuple([msgspec.structs.replace(line) for line in cart.lines]),
        currency=cart.currency,
    )
