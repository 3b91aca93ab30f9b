"""What `abandoned_cart` and `welcome` ought to decide, worked out without any of the engine.

Plain loops over one visitor's events in order of time.  It knows the meaning of the flows as the
documentation tells it, for customers with an address and consent, without caps and quiet hours.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

HOUR = 3_600_000
DAY = 24 * HOUR
Expected = tuple[str, str, int]  # customer, message, at (ms)


def read(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def instant(text: str) -> int:
    return round(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


def expected(events: Iterable[dict[str, Any]], play_out: int) -> set[Expected]:
    by_visitor: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    seen: set[str] = set()
    last = 0
    for event in events:
        if event["messageId"] in seen:
            continue
        seen.add(event["messageId"])
        at = instant(event["timestamp"])
        last = max(last, at)
        by_visitor[event["userId"]].append((at, event))
    found: set[Expected] = set()
    for visitor, mine in by_visitor.items():
        mine.sort(key=lambda entry: entry[0])
        found |= {(visitor, message, at) for message, at in carts(mine, last + play_out)}
        found |= {(visitor, message, at) for message, at in welcomes(mine, last + play_out)}
    return found


def carts(mine: list[tuple[int, dict[str, Any]]], end: int) -> Iterator[tuple[str, int]]:
    basket: dict[str, tuple[int, float]] = {}
    ladder: list[tuple[int, str]] = []
    for at, event in [*mine, (end + 1, {"event": "the end"})]:
        while ladder and ladder[0][0] < at:
            due, message = ladder.pop(0)
            yield message, due
        props = event.get("properties", {})
        changed = False
        if event.get("event") == "Product Added":
            had, price = basket.get(props["product_id"], (0, 0.0))
            basket[props["product_id"]] = (had + props.get("quantity", 1), props.get("price", price))
            changed = True
        elif event.get("event") == "Product Removed" and basket:
            left = basket.get(props["product_id"], (0, 0.0))[0] - props.get("quantity", 10**9)
            if left > 0:
                basket[props["product_id"]] = (left, basket[props["product_id"]][1])
            else:
                basket.pop(props["product_id"], None)
            changed = True
        elif event.get("event") == "Order Completed":
            basket, ladder = {}, []
        if changed:
            worth = sum(quantity * price for quantity, price in basket.values())
            second = "cart_offer" if worth >= 100 else "cart_reminder_2"
            ladder = [(at + HOUR, "cart_reminder"), (at + 24 * HOUR, second), (at + 72 * HOUR, "cart_last_call")]
            if not basket:
                ladder = []


def welcomes(mine: list[tuple[int, dict[str, Any]]], end: int) -> Iterator[tuple[str, int]]:
    granted = [at for at, event in mine if event.get("event") == "Consent Granted"]
    if granted:
        yield "welcome", granted[0]
        due = granted[0] + 3 * DAY
        bought = any(event.get("event") == "Order Completed" and granted[0] <= at <= due for at, event in mine)
        if not bought and due <= end:
            yield "welcome_picks", due
