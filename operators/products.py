"""What product events leave behind in a customer's memory of products.

The same for any order of the same events, but for which products are forgotten first.
"""

from __future__ import annotations

from itertools import islice

from operators.recommender.shown import came_to
from state import events as ev
from state.customer import Customer
from state.events import Event
from state.ids import Ids
from state.products import INTEREST_MS, INTERESTS_MAX, WORDS_MAX, Interest


def viewed(customer: Customer, event: ev.ProductViewed, _: Ids) -> tuple[Event, ...]:
    interest, at = _touched(customer, event), event.at
    waited = interest.waits
    if at > interest.viewed_at:
        interest.viewed_before_at, interest.viewed_at = interest.viewed_at, at
    elif at > interest.viewed_before_at:
        interest.viewed_before_at = at
    if not waited and (interest.waits or customer.joined is not None or customer.alias is not None):
        customer.unindexed.append(event.product_id)
    return ()


def carted(customer: Customer, event: ev.ProductEvent, _: Ids) -> tuple[Event, ...]:
    """Put into a cart, or taken out of it: then too it was in there."""
    interest = _touched(customer, event)
    if not interest.waits:
        customer.unindexed.append(event.product_id)
    interest.in_cart_at = max(interest.in_cart_at, event.at)
    return ()


def _touched(customer: Customer, event: ev.ProductEvent) -> Interest:
    """Her interest in the product, at the end of all, with the newest words."""
    interests, product = customer.interests, event.product_id
    if customer.shown:
        came_to(customer.shown, product, event.at)
    interest = interests.pop(product, None)
    if interest is None:
        _forget(customer, event.at - INTEREST_MS)
        interest = Interest(0, 0, 0, event.price, event.name, event.url, event.image_url)
    elif event.at >= interest.touched_at:
        interest.price = event.price or interest.price
        interest.name = event.name or interest.name
        interest.url = event.url or interest.url
        interest.image_url = event.image_url or interest.image_url
    interests[product] = interest
    if len(interests) > WORDS_MAX:
        older = next(islice(reversed(interests.values()), WORDS_MAX, None))
        if older.name or older.url:
            older.name = older.url = older.image_url = ""
    return interest


def _forget(customer: Customer, before: int) -> None:
    """Make room for one more, and let go of what nobody will ask about."""
    interests = customer.interests
    while interests:
        product, interest = next(iter(interests.items()))
        if len(interests) < INTERESTS_MAX and (interest.viewed_at >= before or interest.in_cart_at >= before):
            break
        del interests[product]
        if interest.waits:
            customer.unindexed.append(product)
