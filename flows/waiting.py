"""Who waits for a product, as the flows about the catalogue mean it."""

from __future__ import annotations

from operators.flow import days, milliseconds, minutes
from state.customer import Customer
from state.events import ProductEvent

SPREAD = minutes(10)
_MONTH = milliseconds(days(30))


def waits_for_it(news: ProductEvent, customer: Customer) -> bool:
    """Whether she viewed it twice or had it in the cart within 30 days, and did not buy it."""
    interest, since = customer.interests.get(news.product_id), news.at - _MONTH
    if interest is None or customer.bought_since(news.product_id, since):
        return False
    return interest.viewed_before_at >= since or interest.in_cart_at >= since


def bought_it_meanwhile(news: ProductEvent, customer: Customer) -> bool:
    return customer.bought_since(news.product_id, news.at)
