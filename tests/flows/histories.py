"""Made-up histories of a few visitors, and a shard that plays them, for properties of what is decided."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from flows import FLOWS, WINDOWS
from state.instants import format_instant, parse_instant
from tests.flows.oracle import DAY, Expected
from tests.operators.shards import START, Desk, desk

STEP = 30 * 60_000  # times lie on this grid, so that changes, orders and reminders often meet
PLAY_OUT = 30 * DAY
LATE = parse_instant("8000-01-01T00:00:00Z")
Json = dict[str, Any]

carts = st.sampled_from(["", "", "k1", "k2"])
products = st.sampled_from(["p1", "p2", "p3"])
prices = st.sampled_from([None, "0", "19.99", "33.34", "50", "99.995", "100", "5000"])
currencies = st.sampled_from([None, None, None, "PLN", "EUR", "JPY"])


def track(event: str, **properties: Any) -> Json:
    return {"type": "track", "event": event, "properties": {k: v for k, v in properties.items() if v is not None}}


def identify(email: str | None) -> Json:
    return {"type": "identify", "traits": {} if email is None else {"email": email}}


added = st.builds(
    lambda product, price, currency, quantity, cart: track(
        "Product Added",
        product_id=product,
        price=None if price is None else Decimal(price),
        currency=currency,
        quantity=quantity,
        cart_id=cart,
    ),
    products,
    prices,
    currencies,
    st.sampled_from([None, None, 0, 1, 2, 3]),
    carts,
)
removed = st.builds(
    lambda product, quantity, cart: track("Product Removed", product_id=product, quantity=quantity, cart_id=cart),
    products,
    st.sampled_from([None, 0, 1, 2]),
    carts,
)
orders = st.sampled_from(["", "", "o1", "o2", "o3", "o4", "o5", "o6"])
ordered = st.builds(
    lambda order, cart, bought: track(
        "Order Completed",
        order_id=order,
        cart_id=cart,
        products=[{"product_id": product} for product in bought],
    ),
    orders,
    st.sampled_from(["", "", "k1", "k2", "k9"]),
    st.lists(products, max_size=3),
)
undone = st.builds(
    lambda name, order: track(name, order_id=order), st.sampled_from(["Order Cancelled", "Order Refunded"]), orders
)
words = st.one_of(
    st.sampled_from([identify("anna@example.com"), identify(None), identify("")]),
    st.builds(
        lambda name, channel, topic: track(name, channel=channel, topic=topic),
        st.sampled_from(["Consent Granted", "Consent Granted", "Consent Withdrawn", "Unsubscribed"]),
        st.sampled_from([None, "email", "email", "sms"]),
        st.sampled_from([None, "marketing", "marketing", "news"]),
    ),
)
seen = st.builds(lambda product: track("Product Viewed", product_id=product), products)
happenings = st.one_of(added, added, added, removed, ordered, undone, words, seen)


@st.composite
def in_order(draw: st.DrawFn) -> list[Json]:
    """Up to thirty events of two visitors in order of time, some of them told twice."""
    count = draw(st.integers(1, 30))
    at, history = START, list[Json]()
    for n in range(count):
        at += draw(st.sampled_from([0, 0, 1, 2, 2, 3, 46, 47, 48, 100, 144])) * STEP
        history.append(stamped(draw(happenings), draw(st.sampled_from(["anna", "anna", "berta"])), at, n))
    for again in draw(st.lists(st.integers(0, count - 1), max_size=4)):
        history.insert(draw(st.integers(again + 1, len(history))), history[again])
    return history


def stamped(event: Json, customer: str, at: int, n: int) -> Json:
    return {**event, "userId": customer, "messageId": f"m{n}", "timestamp": format_instant(at)}


class Stage:
    """One shard that plays many histories, each with visitors, products and a time of its own.

    They march through the centuries; near the end of the calendar another shard begins anew.
    """

    def __init__(self, open_shop: Callable[[int], AbstractContextManager[Desk]]) -> None:
        self._open, self._opened = open_shop, ExitStack()
        self._plays = 0
        self._begin()

    def _begin(self) -> None:
        self.close()
        self._shop = self._opened.enter_context(self._open(self._plays))
        self._from = START

    def close(self) -> None:
        self._opened.close()

    def play(self, history: Sequence[Json], looks: Sequence[int] = (), play_out: int = PLAY_OUT) -> list[Expected]:
        """What is decided about a history; the clock is told how far the log reached after these many events."""
        if self._from > LATE:
            self._begin()
        shop, later, suffix = self._shop, self._from - START, f"-{self._plays}"
        reached = 0
        for n, event in enumerate(history, 1):
            at = parse_instant(event["timestamp"]) + later
            body = {**event, "timestamp": format_instant(at)}
            body["properties"] = _renamed(event.get("properties", {}), suffix)
            if "userId" in event:
                body["userId"] += suffix
                shop.records([(body["userId"].encode(), json.dumps(body, default=str).encode())], "clickstream")
            else:
                shop.records([(None, json.dumps(body, default=str).encode())], "catalogue")
            reached = max(reached, at)
            if n in looks:
                shop.clock_at(reached)
        shop.clock_at(reached)
        shop.clock_at(reached + play_out + 1)
        self._plays += 1
        self._from = reached + play_out + DAY - (reached + play_out - START) % DAY
        made, shop.shard.made = shop.shard.made, []
        assert shop.shard.letters == []
        # Who of an earlier play still waited, for longer than that was played out, is told of among the others.
        mine = [told for told in made if told.customer.endswith(suffix)]
        return sorted(
            Expected(
                told.customer.removesuffix(suffix),
                told.flow,
                told.message,
                parse_instant(told.at) - later,
                told.outcome,
                told.reason,
            )
            for told in mine
        )


def _renamed(properties: Json, suffix: str) -> Json:
    """With the products of this play alone."""
    renamed = dict(properties)
    if "product_id" in renamed:
        renamed["product_id"] += suffix
    if "products" in renamed:
        renamed["products"] = [_renamed(line, suffix) for line in renamed["products"]]
    return renamed


@contextmanager
def stage(folder: Path, *names: str) -> Iterator[Stage]:
    """A shard of these of the shipped flows, each alone with what it needs, or of all."""
    flows = [flow for flow in FLOWS if flow.name in names or not names]
    far = parse_instant("9000-01-01T00:00:00Z")

    def open_shop(number: int) -> AbstractContextManager[Desk]:
        mine = folder / f"from-{number}"
        return desk(mine, *flows, clock="replay", wall=far, publishes=False, windows=WINDOWS)

    with closing(Stage(open_shop)) as made:
        yield made


@st.composite
def one_hour(draw: st.DrawFn) -> list[Json]:
    """Additions and orders within one hour, at times of their own; either of one cart or of carts with names."""
    minutes = draw(st.lists(st.integers(1, 55), min_size=1, max_size=10, unique=True))
    carts_here = draw(st.sampled_from([[""], ["k1", "k2"]]))
    return [
        stamped(
            draw(
                st.one_of(
                    st.just(added_product(f"p{n}", draw(st.sampled_from(carts_here)))),
                    st.just(track("Order Completed", order_id="o", cart_id=draw(st.sampled_from(carts_here)))),
                )
            ),
            "anna",
            START + minute * 60_000,
            n,
        )
        for n, minute in enumerate(sorted(minutes))
    ]


@st.composite
def additions_and_orders(draw: st.DrawFn) -> list[Json]:
    """Of one cart, over days, each at a time of its own."""
    halves = draw(st.lists(st.integers(1, 300), min_size=1, max_size=12, unique=True))
    return [
        stamped(
            draw(st.sampled_from([added_product(f"p{n}"), track("Order Completed", order_id="o")])),
            "anna",
            START + half * STEP,
            n,
        )
        for n, half in enumerate(sorted(halves))
    ]


def added_product(product: str, cart: str = "") -> Json:
    return track("Product Added", product_id=product, price="40", cart_id=cart)
