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
    )
