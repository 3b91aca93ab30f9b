"""What a customer's record says that a recommender wants to know."""

from __future__ import annotations

from state.customer import Customer
from state.recommendations import History


def history_of(customer: Customer) -> History:
    return History(
        touched={product: interest.touched_at for product, interest in customer.interests.items()},
        carted=frozenset(product for product, interest in customer.interests.items() if interest.in_cart_at),
        in_cart=frozenset(
            line.product_id for cart in customer.carts.values() if not cart.ordered_at for line in cart.lines
        ),
        bought=customer.bought,
        market=market_of(customer.traits.locale),
        shown=customer.shown,
    )


def market_of(locale: str) -> str:
    """`PL` of `pl-PL` or `pl_PL`, which is all that events say of where she buys."""
    language, _, region = locale.replace("_", "-").partition("-")
    country = region.rpartition("-")[2]
    return country.upper() if language and len(country) == 2 and country.isalpha() else ""
