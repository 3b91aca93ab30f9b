"""What is new when the catalogue tells of a product, and for whom.  Pure."""

from __future__ import annotations

from typing import Any

from state.catalogue import BackInStock, CatalogueChange, Item, PriceDropped, has_dropped
from state.customer import Customer
from state.events import Event, ProductChanged
from state.ids import Ids
from state.products import INTEREST_MS


def changed(item: Item | None, event: ProductChanged) -> tuple[Item, CatalogueChange | None]:
    """The product after this word of the catalogue, and the news in it.

    There is none in what was said before, or is told late.  A product of which nothing was said counts as not
    available before, and as priced as each customer saw it.
    """
    known = item or Item()
    if event.id == known.event:
        return known, None
    price, price_at = known.price, known.price_at
    available, available_at = known.available, known.available_at
    is_back = may_be_cheaper = False
    if event.price is not None and event.at >= price_at:
        may_be_cheaper = price is None or has_dropped(price, event.price)
        price, price_at = event.price, event.at
    if event.available is not None and event.at >= available_at:
        is_back = event.available and not available
        available, available_at = event.available, event.at
    after = Item(event.id, price, price_at, available, available_at)
    if not is_back and not may_be_cheaper:
        return after, None
    return after, CatalogueChange(
        id=event.id,
        at=event.at,
        product_id=event.product_id,
        name=event.name,
        category=event.category,
        url=event.url,
        image_url=event.image_url,
        price=price,
        before=known.price if may_be_cheaper else price,
        is_back=is_back,
    )


def heard(customer: Customer, change: CatalogueChange, _: Ids) -> tuple[Event, ...]:
    """What these news are to a customer: facts for flows, where she waits for the product."""
    interest = customer.interests.get(change.product_id)
    if interest is None or not interest.waits:
        return ()
    if interest.touched_at < change.at - INTEREST_MS:
        del customer.interests[change.product_id]
        customer.unindexed.append(change.product_id)
        return ()
    words: dict[str, Any] = {
        "id": change.id,
        "customer": customer.id,
        "at": change.at,
        "product_id": change.product_id,
        "name": change.name or interest.name,
        "category": change.category,
        "url": change.url or interest.url,
        "image_url": change.image_url or interest.image_url,
        "price": change.price or interest.price,
    }
    facts: list[Event] = [BackInStock(**words)] if change.is_back else []
    before = change.before or interest.price
    if change.price is not None and before is not None and has_dropped(before, change.price):
        facts.append(PriceDropped(**words, before=before))
    return tuple(facts)
