"""What recommendations came to: shown, clicked, bought, by what chose them.

A product counts as clicked when she comes to it within a day of seeing it recommended, and as bought within seven days;
both are the doing of the recommendation that showed it last before.  Orders are what they came to in the end: told
twice they are one, cancelled they never were, and what was refunded is taken back from all their products alike.
Whether she would have come to it anyway nobody
can tell from this: only holding some out could.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import msgspec

from operators.measuring.orders import by_id
from operators.measuring.rows import Ordered
from operators.measuring.rows import of_event as said_of
from state import events as ev
from state.events import Event
from state.instants import parse_instant
from state.money import Money
from state.recommendations import BOUGHT_MS, CLICKED_MS, DAY_MS, Recommendation

LINES_MAX = 100


class Shown(msgspec.Struct, gc=False, frozen=True, kw_only=True, array_like=True, tag="shown"):
    """`at` in milliseconds, as of all rows."""

    at: int
    id: str
    block: str
    strategy: str
    model: str
    place: Literal["message", "answer"]
    items: tuple[str, ...]


class Took(msgspec.Struct, gc=False, frozen=True, kw_only=True, array_like=True, tag="took"):
    """She came to a product, or ordered it: then with the order's id and what she paid, in minor units."""

    at: int
    id: str
    item: str
    order_id: str = ""
    minor: int = 0
    currency: str = ""


AnyRow = Shown | Took | Ordered
_union: Any = AnyRow
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder[AnyRow](_union).decode


class By(NamedTuple):
    """What a line is about."""

    block: str
    strategy: str
    model: str
    place: str


@dataclass(slots=True)
class Came:
    """`clicked` and `bought` count recommendations; `orders` products that were bought, `revenue` what was paid.

    `daily`: by the day (since 1970) on which they were shown, how many were, and how many of those were clicked.
    """

    shown: int = 0
    products: int = 0
    clicked: int = 0
    bought: int = 0
    orders: int = 0
    revenue: Counter[str] = field(default_factory=Counter[str])
    daily: dict[int, list[int]] = field(default_factory=dict)

    def note(self, shown: Shown, *, clicked: bool) -> None:
        """One more that was shown, or was clicked."""
        day = self.daily.setdefault(shown.at // DAY_MS, [0, 0])
        day[clicked] += 1
        if clicked:
            self.clicked += 1
        else:
            self.shown += 1


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report; money exact, by currency."""

    block: str
    strategy: str
    model: str
    place: str
    shown: int
    products: int
    clicked: int
    bought: int
    orders: int
    revenue: list[tuple[str, str]]  # amount, currency


def of_recommendation(made: Recommendation) -> Shown:
    return Shown(
        at=parse_instant(made.at),
        id=made.recommendation_id,
        block=made.block,
        strategy=made.strategy,
        model=made.model,
        place="message" if made.message_id else "answer",
        items=tuple(each.item for each in made.items),
    )


def of_event(event: Event) -> list[Took | Ordered]:
    """What she did about products, and all that is said of her orders."""
    said = said_of(event)
    if isinstance(said, Ordered):
        return [*_lines(event, said.order_id), said]
    if isinstance(event, ev.ProductViewed | ev.ProductAdded):
        return [Took(at=event.at, id=event.id, item=event.product_id)]
    return []


def _lines(event: Event, order_id: str) -> list[Took]:
    if not isinstance(event, ev.OrderCompleted):
        return []
    return [
        Took(
            at=event.at,
            id=f"{order_id} {place}",
            item=line.product_id,
            order_id=order_id,
            minor=line.price.minor * line.quantity if line.price else 0,
            currency=line.price.currency if line.price else event.currency,
        )
        for place, line in enumerate(event.products[:LINES_MAX])
    ]


class Ledger:
    """Adds up customers, one after the other."""

    def __init__(self) -> None:
        self.came: defaultdict[By, Came] = defaultdict(Came)

    def account(self, rows: Sequence[AnyRow]) -> None:
        """One customer, given all of hers in order of time."""
        latest: dict[str, Shown] = {}
        clicked, bought = set[str](), set[str]()
        orders = by_id(row for row in rows if isinstance(row, Ordered))
        for row in _once(rows):
            if isinstance(row, Shown):
                came = self.came[_by(row)]
                came.note(row, clicked=False)
                came.products += len(row.items)
                latest |= dict.fromkeys(row.items, row)
            elif (shown := latest.get(row.item)) is not None:
                came = self.came[_by(shown)]
                if row.at <= shown.at + CLICKED_MS and shown.id not in clicked:
                    clicked.add(shown.id)
                    came.note(shown, clicked=True)
                order = orders.get(row.order_id)
                if order is not None and not order.cancelled and row.at <= shown.at + BOUGHT_MS:
                    came.bought += shown.id not in bought
                    bought.add(shown.id)
                    came.orders += 1
                    came.revenue[row.currency] += order.left_of(row.minor)

    def lines(self) -> Iterator[Line]:
        for by in sorted(self.came):
            came = self.came[by]
            yield Line(
                **by._asdict(),
                shown=came.shown,
                products=came.products,
                clicked=came.clicked,
                bought=came.bought,
                orders=came.orders,
                revenue=list(_amounts(came.revenue.items())),
            )


def _once(rows: Iterable[AnyRow]) -> Iterator[Shown | Took]:
    """Without the lines of an order that was told before: by the shop's page, say, and then by its backend."""
    told: dict[str, int] = {}
    for row in rows:
        if isinstance(row, Shown) or (
            isinstance(row, Took) and (not row.order_id or told.setdefault(row.order_id, row.at) == row.at)
        ):
            yield row


def _by(row: Shown) -> By:
    return By(row.block, row.strategy, row.model, row.place)


def _amounts(sums: Iterable[tuple[str, int]]) -> Iterator[tuple[str, str]]:
    for currency, minor in sorted(sums):
        if minor:
            yield str(Money(minor, currency).amount), currency
