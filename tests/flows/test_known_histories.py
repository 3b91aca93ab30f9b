"""Whatever she did before she said who she is: it comes to what the same events come to under the known id.

Decided by all shipped flows, over histories in order of time.  What she did as the known one before that concerns other
things (carts with names of their own): what two records did in turns to one thing cannot be told apart later.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flows import FLOWS, WINDOWS
from operators import windows
from state.customer import Customer
from tests.operators.shards import DAY, MINUTE, START
from tests.operators.street import Json, Street, identify, track

KNOWN, ANONYMOUS = {"userId": "anna"}, {"anonymousId": "a-1"}
EXAMPLES = 40 if settings().max_examples <= 200 else settings().max_examples
PAUSES = [1, 30, 59, 60, 61, 119, 120, 121, 600, 1_439, 1_440, 3_000, 90_000]  # minutes

products = st.sampled_from(["p1", "p2", "p3"])


def cart_of(cart: str) -> st.SearchStrategy[Json]:
    return st.one_of(
        st.builds(
            lambda product, price: track("Product Added", product_id=product, price=price, cart_id=cart),
            products,
            st.sampled_from([20, 60, 120]),
        ),
        st.builds(lambda product: track("Product Removed", product_id=product, cart_id=cart), products),
        st.just(track("Order Completed", cart_id=cart)),
    )


views = st.builds(lambda product: track("Product Viewed", product_id=product), products)
words = st.sampled_from(
    [
        identify(email="anna@example.com"),
        identify(email="other@example.com", firstName="Anna"),
        track("Consent Granted", channel="email", topic="marketing"),
        track("Consent Withdrawn", channel="email", topic="marketing"),
        track("Unsubscribed"),
    ]
)
hers = st.one_of(cart_of("k1"), cart_of("k1"), cart_of("k2"), views, words)
Happened = list[tuple[int, Json]]


@st.composite
def happened(draw: st.DrawFn, most: int, kinds: st.SearchStrategy[Json] = hers) -> Happened:
    """(minutes since the one before, event)"""
    return draw(st.lists(st.tuples(st.sampled_from(PAUSES), kinds), max_size=most))


def played(before: Happened, claim: int, after: list[tuple[int, Json, bool]], *, known: bool) -> Street:
    street, at, number = Street(FLOWS, WINDOWS), START, 0

    def happens(pause: int, body: Json, ids: dict[str, str]) -> None:
        nonlocal at, number
        at, number = at + pause * MINUTE, number + 1
        street.happens(at, {**body, "messageId": f"m{number}"}, **ids)

    for pause, body in before:
        happens(pause, body, KNOWN if known else ANONYMOUS)
    happens(claim, identify(email="anna@example.com"), KNOWN if known else {**KNOWN, **ANONYMOUS})
    for pause, body, anonymously in after:
        happens(pause, body, ANONYMOUS if anonymously and not known else KNOWN)
    street.clock_at(at + 200 * DAY)
    return street


def decided(street: Street) -> Counter[tuple[str, ...]]:
    """What was decided about her, under whichever id."""
    return Counter((made.flow, made.message, made.at, made.outcome, made.reason) for made in street.decided)


def carts(customer: Customer) -> dict[str, Any]:
    return {
        name: (sorted((line.product_id, line.quantity) for line in cart.lines), cart.ordered_at, cart.emptied_at)
        for name, cart in customer.carts.items()
    }


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    before=happened(8),
    claim=st.sampled_from(PAUSES),
    after=st.lists(st.tuples(st.sampled_from(PAUSES), hers, st.booleans()), max_size=8),
    looks=st.integers(0, 10),
)
def test_it_is_as_if_she_had_been_known_from_the_start(
    before: Happened, claim: int, after: list[tuple[int, Json, bool]], looks: int
) -> None:
    split, whole = (played(before, claim, after, known=known) for known in (False, True))
    assert decided(split) == decided(whole)
    one, other = split.who("anna"), whole.who("anna")
    assert carts(one) == carts(other)
    now = START + looks * DAY
    assert windows.describe(WINDOWS, one, now) == windows.describe(WINDOWS, other, now)
    assert (one.events, one.orders, one.last_order_at) == (other.events, other.orders, other.last_order_at)
    assert (one.traits, one.consents, one.interests, one.told) == (
        other.traits,
        other.consents,
        other.interests,
        other.told,
    )
