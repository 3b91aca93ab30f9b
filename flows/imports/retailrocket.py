"""The events of a shop as Retailrocket published them: `ts,user,item,event`, sorted by time.

A view is a Product Viewed, an addtocart a Product Added, and the transactions of one visitor in one second are one
Order Completed.  There are no carts and no prices in the data, and none are made up.

Ids come from the rows: the same file imported twice, or in another cut into files, makes the same events.  Each file
stands for itself, so a second that two files share makes two orders.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from flows.imports.form import Imported, Line, Lines
from state.instants import format_instant

HEADER = b"ts,user,item,event"
MILLISECONDS_FROM = 10**11  # as seconds: the year 5138; as milliseconds: 1973
OLDEST, LATEST = 946_684_800_000, 4_102_444_800_000  # 2000 to 2100, what the decoder takes and what nobody has lived
_TRACKS = {b"view": "Product Viewed", b"addtocart": "Product Added"}
_BOUGHT = b"transaction"
_ID = re.compile(rb"[A-Za-z0-9_-]{1,64}").fullmatch


class Row(NamedTuple):
    """A line of the file.  `at` in milliseconds; `fields` as it stood there, for its id."""

    at: int
    user: bytes
    item: bytes
    event: bytes
    fields: bytes


def read(lines: Lines) -> Iterator[Imported]:
    """The events of one file, in its order; an order stands where its last row stood."""
    for second in _seconds(_rows(lines)):
        yield from _events(second)


def _rows(lines: Lines) -> Iterator[Row]:
    header = next(lines, None)
    if header is None:
        return
    if header.text.removeprefix(b"\xef\xbb\xbf").strip() != HEADER:
        raise header.fault(f'the header is not "{HEADER.decode()}". Put it there, with the columns in this order.')
    latest = 0
    for line in lines:
        if line.text.strip():
            row = _row(line)
            if row.at < latest:
                raise line.fault("it is earlier than the line before. Sort the file by ts first (sort -t, -k1,1n -s).")
            latest = row.at
            yield row


def _row(line: Line) -> Row:
    columns = line.text.split(b",")
    if len(columns) != 4:
        raise line.fault(f"there are {len(columns)} columns, not the 4 of {HEADER.decode()}. Correct or delete it.")
    ts, user, item, event = columns
    if event not in _TRACKS and event != _BOUGHT:
        raise line.fault("event is none of view, addtocart and transaction. Correct or delete the line.")
    for name, value in (("user", user), ("item", item)):
        if not _ID(value):
            raise line.fault(f"{name} is not an id of 1 to 64 letters, digits, - and _. Correct or delete the line.")
    return Row(_instant(ts, line), user, item, event, line.text)


def _instant(ts: bytes, line: Line) -> int:
    at = int(ts) if ts.isdigit() and len(ts) <= 16 else -1
    at = at if at >= MILLISECONDS_FROM else at * 1000
    if not OLDEST <= at < LATEST:
        raise line.fault("ts is no whole number of seconds or milliseconds since 1970 between 2000 and 2100.")
    return at


def _seconds(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """The rows of each second together."""
    together: list[Row] = []
    for row in rows:
        if together and row.at // 1000 != together[0].at // 1000:
            yield together
            together = []
        together.append(row)
    if together:
        yield together


def _events(rows: list[Row]) -> Iterator[Imported]:
    orders = _orders(rows)
    alike: Counter[bytes] = Counter()
    for row in rows:
        if row.event == _BOUGHT:
            bought = orders[row.user]
            if bought[-1] is row:
                yield _order(bought)
            continue
        alike[row.fields] += 1
        properties: dict[str, Any] = {"product_id": row.item.decode()}
        if row.event == b"addtocart":
            properties["quantity"] = 1
        yield _imported(row, _TRACKS[row.event], _id(row.fields, alike[row.fields]), properties)


def _orders(rows: list[Row]) -> dict[bytes, list[Row]]:
    orders: dict[bytes, list[Row]] = {}
    for row in rows:
        if row.event == _BOUGHT:
            orders.setdefault(row.user, []).append(row)
    return orders


def _order(rows: list[Row]) -> Imported:
    quantities = Counter(row.item.decode() for row in rows)
    number = _id(b"\n".join(row.fields for row in rows), 1)
    products = [{"product_id": item, "quantity": quantity} for item, quantity in quantities.items()]
    return _imported(rows[-1], "Order Completed", number, {"order_id": f"order-{number}", "products": products})


def _imported(row: Row, event: str, number: str, properties: dict[str, Any]) -> Imported:
    value = {
        "type": "track",
        "event": event,
        "messageId": number,
        "userId": row.user.decode(),
        "timestamp": format_instant(row.at),
        "properties": properties,
    }
    return Imported(row.user, orjson.dumps(value), row.at)


def _id(content: bytes, ordinal: int) -> str:
    """The same for the same row, and another for each of several rows that are alike."""
    return "rr-" + blake2b(content + b"#%d" % ordinal, digest_size=12).hexdigest()
