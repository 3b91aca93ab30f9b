"""What the shipped flows ought to decide, worked out without any of the engine.

Plain loops over one visitor's events in order of time; for carts in two passes: first what became of each of her
carts and when, then which messages fall into the quiet between two changes.  It knows the meaning of the
flows as the documentation tells it, without caps, quiet hours, holdout and suppression.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

HOUR = 3_600_000
DAY = 24 * HOUR
DECIMALS = {"JPY": 0, "KWD": 3}
Json = dict[str, Any]
Timed = tuple[int, Json]
Told = tuple[str, int, str, str]  # message, moment, outcome, reason
Turn = Callable[[str, str], int]  # of a customer, after the event of this id


class Expected(NamedTuple):
    customer: str
    flow: str
    message: str
    at: int
    outcome: str
    reason: str


def read(path: Path) -> Iterator[Json]:
    """The events of a file, amounts exact."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line, parse_float=Decimal)


def decided(path: Path) -> list[Expected]:
    """What a file of decisions says, in the oracle's words."""
    return [
        Expected(
            told["customer"],
            told["flow"],
            told["message"],
            instant(told["at"]),
            told["outcome"],
            told.get("reason", ""),
        )
        for told in read(path)
    ]


def instant(text: str) -> int:
    return round(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


def at_once(customer: str, event: str) -> int:
    return 0


def by_share(secret: bytes, wait: str, over: int) -> Turn:
    """Turns spread over so many milliseconds, as the documentation of the keyed shares says."""

    def turn(customer: str, event: str) -> int:
        parts = [part.encode() for part in ("spread", wait, customer, event)]
        joined = b"".join(struct.pack(">I", len(part)) + part for part in parts)
        drawn = hashlib.blake2b(joined, key=secret[:64], person=b"share", digest_size=8).digest()
        return int(over * ((int.from_bytes(drawn, "big") >> 11) / 2**53))

    return turn


def expected(
    events: Iterable[Json],
    play_out: int,
    currency: str = "PLN",
    flows: Iterable[str] | None = None,
    turn: Turn = at_once,
) -> list[Expected]:
    """All decisions up to `play_out` milliseconds after the last event, sorted; of these flows, or of all.

    `turn` is how long after news of the catalogue it is a customer's turn.
    """
    by_visitor: dict[str, list[Timed]] = defaultdict(list)
    catalogue: list[Timed] = []
    seen: set[tuple[str, str]] = set()
    last = 0
    for event in events:
        at = instant(event["timestamp"])
        last = max(last, at)
        if event.get("event") == "Product Changed":
            catalogue.append((at, event))
            for theirs in by_visitor.values():
                theirs.append((at, event))
            continue
        visitor = event.get("userId") or event["anonymousId"]
        if visitor not in by_visitor:
            by_visitor[visitor] += catalogue
        if (visitor, event["messageId"]) not in seen:
            seen.add((visitor, event["messageId"]))
            by_visitor[visitor].append((at, event))
    found: list[Expected] = []
    for visitor, mine in by_visitor.items():
        mine.sort(key=lambda entry: entry[0])  # of the same instant, as they came
        for flow in (*FLOWS, *NEWS) if flows is None else flows:
            if flow in NEWS:
                told = news(flow, mine, last + play_out, currency, partial(turn, visitor))
            else:
                told = iter(FLOWS[flow](mine, last + play_out, currency))
            for message, due, outcome, reason in told:
                found.append(Expected(visitor, flow, message, due, outcome, reason))
    return sorted(found)


def abandoned_cart(mine: list[Timed], end: int, currency: str) -> Iterator[Told]:
    for message, due in cart_messages(mine, end, currency):
        yield message, due, *objection(mine, due)


def cart_messages(mine: list[Timed], end: int, currency: str) -> Iterator[tuple[str, int]]:
    for changes in cart_histories(mine, currency).values():
        for n, (at, worth) in enumerate(changes):
            if worth is None:
                continue
            quiet_until = changes[n + 1][0] if n + 1 < len(changes) else end + 1
            second = "cart_offer" if worth >= 100 else "cart_reminder_2"
            for after, message in ((1, "cart_reminder"), (24, second), (72, "cart_last_call")):
                # An event of the same instant goes first, so the message must come before it.
                if at + after * HOUR < quiet_until and at + after * HOUR <= end:
                    yield message, at + after * HOUR


def cart_histories(mine: list[Timed], currency: str) -> dict[str, list[tuple[int, Decimal | None]]]:
    """Of each cart, when it changed and what it was worth then; None where it was emptied or bought."""
    inside: dict[str, dict[str, tuple[int, Decimal, str]]] = defaultdict(dict)
    priced_in: dict[str, str] = {}
    changed: list[str] = []  # carts in the order of their last change
    histories: dict[str, list[tuple[int, Decimal | None]]] = defaultdict(list)
    for at, event in mine:
        name, props = event.get("event"), event.get("properties", {})
        cart = props.get("cart_id") or ""
        basket = inside[cart]
        if name == "Order Completed":
            if not cart:
                open_ones = [each for each in changed if inside[each]]
                if not open_ones:
                    continue
                cart = open_ones[-1]
            inside[cart] = {}
            histories[cart].append((at, None))
            continue
        if name == "Product Added":
            product = props["product_id"]
            had, price, unit = basket.get(product, (0, Decimal(0), ""))
            quantity = 1 if props.get("quantity") is None else props["quantity"]
            if props.get("price") is not None and had + quantity:
                unit = props.get("currency") or currency
                price, priced_in[cart] = rounded(props["price"], unit), unit
            basket[product] = (had + quantity, price, unit)
        elif name == "Product Removed":
            product, quantity = props["product_id"], props.get("quantity")
            if product in basket:
                had, price, unit = basket[product]
                basket[product] = (0 if quantity is None else had - quantity, price, unit)
        else:
            continue
        inside[cart] = basket = {product: line for product, line in basket.items() if line[0] > 0}
        changed = [*(each for each in changed if each != cart), cart]
        if basket:
            worth = sum((n * price for n, price, unit in basket.values() if unit == priced_in.get(cart)), Decimal(0))
            histories[cart].append((at, worth))
        else:
            histories[cart].append((at, None))
    return histories


def rounded(price: Any, currency: str) -> Decimal:
    return Decimal(str(price)).quantize(Decimal(1).scaleb(-DECIMALS.get(currency, 2)), rounding=ROUND_HALF_EVEN)


def welcome(mine: list[Timed], end: int, _: str) -> Iterator[Told]:
    for n, (at, event) in enumerate(mine):
        props = event.get("properties", {})
        if event.get("event") != "Consent Granted":
            continue
        if (props.get("channel") or "email", props.get("topic") or "marketing") != ("email", "marketing"):
            continue
        yield "welcome", at, *objection(mine, at, n)  # decided at once, after this of her events
        due = at + 3 * DAY
        bought = any(other.get("event") == "Order Completed" and at <= then <= due for then, other in mine)
        if not bought and due <= end:
            yield "welcome_picks", due, *objection(mine, due)
        return


def browse_abandonment(mine: list[Timed], end: int, _: str) -> Iterator[Told]:
    views = [at for at, event in mine if event.get("event") == "Product Viewed"]
    busy = [at for at, event in mine if event.get("event") in ("Product Added", "Order Completed")]
    first, sent = 0, -8 * DAY
    for n, at in enumerate(views):
        if n == 0 or at > views[n - 1] + 2 * HOUR:
            first = at
        due = at + 2 * HOUR
        if due > end or (n + 1 < len(views) and views[n + 1] <= due):
            continue
        if not any(first <= then <= due for then in busy) and sent <= due - 7 * DAY:
            outcome, reason = objection(mine, due)
            sent = due if outcome == "send" else sent
            yield "browse_reminder", due, outcome, reason


def win_back(mine: list[Timed], end: int, _: str) -> Iterator[Told]:
    orders = sorted({at for at, event in mine if event.get("event") == "Order Completed"})
    for at, again in pairwise([*orders, end + 1]):
        for after, message in ((60, "win_back"), (90, "win_back_offer")):
            if at + after * DAY < again:
                yield message, at + after * DAY, *objection(mine, at + after * DAY)


def post_purchase(mine: list[Timed], end: int, _: str) -> Iterator[Told]:
    entered: dict[str, list[tuple[int, int, int]]] = defaultdict(list)  # by order: since, as which event, until
    undone: dict[str, int] = {}
    for n, (at, event) in enumerate(mine):
        order = event.get("properties", {}).get("order_id") or f"of {event['messageId']}"
        running = entered[order][-1] if entered[order] and at <= entered[order][-1][2] else None
        if event.get("event") in ("Order Cancelled", "Order Refunded"):
            undone[order] = at
            if running:
                entered[order][-1] = (running[0], running[1], at - 1)
        elif event.get("event") == "Order Completed" and not running and undone.get(order, -1) < at:
            entered[order].append((at, n, at + 30 * DAY))
    for passages in entered.values():
        for at, n, until in passages:
            yield "order_thanks", at, *objection(mine, at, n, marketing=False)
            for after, message in ((14, "review_request"), (30, "cross_sell")):
                if at + after * DAY <= min(until, end):
                    yield message, at + after * DAY, *objection(mine, at + after * DAY)


def replenishment(mine: list[Timed], end: int, _: str) -> Iterator[Told]:
    known: set[str] = set()
    bought: dict[str, list[int]] = defaultdict(list)
    for at, event in mine:
        props = event.get("properties", {})
        if event.get("event") == "Order Completed" and not (props.get("order_id") and props["order_id"] in known):
            known.add(props.get("order_id") or "")
            for product in {line["product_id"] for line in props.get("products") or ()}:
                bought[product].append(at)
    for times in bought.values():
        for n in range(2, len(times)):
            interval = median(then - before for before, then in pairwise(times[: n + 1]))
            due = times[n] + int(interval) - 3 * DAY
            quiet_until = times[n + 1] if n + 1 < len(times) else end + 1
            if interval > 3 * DAY and due < quiet_until and due <= end:
                yield "replenish", due, *objection(mine, due)


def news(flow: str, mine: list[Timed], end: int, currency: str, turn: Callable[[str], int]) -> Iterator[Told]:
    """Who waits is judged by what was told before the change; whether she bought it, until it is her turn."""
    said: dict[str, dict[str, Any]] = defaultdict(dict)  # by the catalogue
    touched: dict[tuple[str, bool], list[int]] = defaultdict(list)  # when seen, when in the cart
    bought: dict[str, list[int]] = defaultdict(list)
    saw: dict[str, tuple[Decimal, str]] = {}
    inside: dict[str, int] = {}
    due: list[tuple[str, int, int]] = []
    for at, event in mine:
        name, props = event.get("event"), event.get("properties", {})
        product, month = props.get("product_id"), at - 30 * DAY
        price = priced(props, currency)
        if name == "Order Completed":
            for line in props.get("products") or ():
                bought[line["product_id"]].append(at)
        elif name in ("Product Viewed", "Product Added", "Product Removed"):
            touched[product, name == "Product Viewed"].append(at)
            saw[product] = price or saw.get(product) or (Decimal(0), "")
        elif name == "Product Changed" and said[product].get("by") != event["messageId"]:
            known = said[product]
            is_back = props.get("availability") in IN_STOCK and known.get("available") is not True
            before, unit = known.get("price") or saw.get(product) or (Decimal(0), "")
            is_cheaper = price is not None and price[1] == unit and before > 0 and price[0] <= before * 95 / 100
            known |= {"by": event["messageId"], "price": price or known.get("price")}
            if props.get("availability") is not None:
                known["available"] = props["availability"] in IN_STOCK
            views = [then for then in touched[product, True] if then >= month]
            waits = len(views) >= 2 or any(then >= month for then in touched[product, False])
            if any(then >= month for then in bought[product]) or inside.get(product, -1) >= at or not waits:
                continue
            if is_back if flow == "back_in_stock" else is_cheaper:
                inside[product] = at + turn(event["messageId"])
                due.append((product, at, inside[product]))
    for product, at, then in due:
        if then <= end and not any(at <= order <= then for order in bought[product]):
            yield flow, then, *objection(mine, then)


def priced(props: Json, currency: str) -> tuple[Decimal, str] | None:
    if props.get("price") is None:
        return None
    unit = props.get("currency") or currency
    return rounded(props["price"], unit), unit


def objection(mine: list[Timed], due: int, after: int | None = None, *, marketing: bool = True) -> tuple[str, str]:
    """What speaks against a mail at this moment: no address, or no consent to marketing."""
    email, agreed = "", False
    for n, (at, event) in enumerate(mine):
        if at > due or (after is not None and n > after):
            break
        props = event.get("properties", {})
        if event["type"] == "identify" and event["traits"].get("email") is not None:
            email = event["traits"]["email"]
        channel, topic = props.get("channel"), props.get("topic")
        if event.get("event") == "Consent Granted":
            agreed = agreed or ((channel or "email", topic or "marketing") == ("email", "marketing"))
        elif event.get("event") in ("Consent Withdrawn", "Unsubscribed"):
            agreed = agreed and not (channel in (None, "", "email") and topic in (None, "", "marketing"))
    if not email:
        return "skip", "no_address"
    return ("send", "") if agreed or not marketing else ("skip", "no_consent")


IN_STOCK = (True, "in stock")
NEWS = ("back_in_stock", "price_drop")
FLOWS: dict[str, Callable[[list[Timed], int, str], Iterable[Told]]] = {
    "abandoned_cart": abandoned_cart,
    "welcome": welcome,
    "browse_abandonment": browse_abandonment,
    "post_purchase": post_purchase,
    "replenishment": replenishment,
    "win_back": win_back,
}
