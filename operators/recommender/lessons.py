"""What the events of a shop teach a recommender, and what they say of its products.

Statistical and forgiving: visits are remembered for the visitors seen last, and only in memory.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

from operators.recommender.model import CoVisitation
from operators.recommender.shelf import Shelf
from operators.recommender.visits import Visit, joined
from state import events as ev
from state.events import Event
from state.recommendations import ItemFacts

VISITORS_MAX = 50_000
LINES_MAX = 50  # products of one order that are learnt from
VIEW, CART, ORDER = 1.0, 3.0, 5.0
_Word = TypeVar("_Word")


class Lessons:
    """Teaches `model`, whose rows are on `shelf`.  `who` is any name of a visitor, such as the hash of her id."""

    def __init__(self, model: CoVisitation, shelf: Shelf, *, visitors_max: int = VISITORS_MAX) -> None:
        self._model, self._shelf, self._visitors_max = model, shelf, visitors_max
        self._visits: OrderedDict[bytes, Visit] = OrderedDict()
        self.learnt = 0

    def take(self, who: bytes, event: Event, *, learn: bool = True) -> None:
        """`learn=False`: she was there, and it was learnt before (a restart that picks up the visits under way)."""
        match event:
            case ev.ProductChanged():
                self._describe(event.product_id, event, event.at, event.available, event.markets)
            case ev.ProductViewed():
                self._describe(event.product_id, event, event.at)
                self._see(who, event, event.at, VIEW, learn)
            case ev.ProductAdded():
                self._describe(event.product_id, event, event.at)
                self._see(who, event, event.at, CART, learn)
            case ev.OrderCompleted():
                for line in event.products[:LINES_MAX]:
                    self._describe(line.product_id, line, event.at)
                    self._see(who, line, event.at, ORDER, learn)

    def forget(self, who: bytes) -> None:
        self._visits.pop(who, None)

    def join(self, who: bytes, was: bytes) -> None:
        """Two visitors turned out to be one."""
        other = self._visits.pop(was, None)
        if other is not None:
            mine = self._visits.get(who)
            self._visits[who] = other if mine is None else joined(mine, other)

    def _see(self, who: bytes, said: ev.ProductEvent | ev.OrderLine, at: int, weight: float, learn: bool) -> None:
        visit = self._visit(who)
        if learn:
            self.learnt += 1
            self._model.learn(visit, said.product_id, at, weight, said.category)
        else:
            visit.see(said.product_id, at, weight)

    def _visit(self, who: bytes) -> Visit:
        visit = self._visits.get(who)
        if visit is None:
            visit = self._visits[who] = Visit()
            if len(self._visits) > self._visitors_max:
                self._visits.popitem(last=False)
        else:
            self._visits.move_to_end(who)
        return visit

    def _describe(
        self,
        product: str,
        said: ev.ProductEvent | ev.OrderLine,
        at: int,
        available: bool | None = None,
        markets: tuple[str, ...] | None = None,
    ) -> None:
        known = self._shelf.facts(product)
        now = described(known or ItemFacts(), said, at, available, markets)
        if now != known:
            self._shelf.put_facts(product, now)


def described(
    known: ItemFacts,
    said: ev.ProductEvent | ev.OrderLine,
    at: int,
    available: bool | None,
    markets: tuple[str, ...] | None,
) -> ItemFacts:
    """What is known after these words: of each what was said last, in whichever order they are read.

    What an event leaves out it does not unsay, and what nobody had said yet is told by an older word too.
    """
    first, then = (said, known) if at >= known.at else (known, said)
    is_told = said.name or said.category or said.url or said.image_url
    price, price_at = _last(said.price, at, known.price, known.price_at)
    is_available, available_at = _last(available, at, known.available, known.available_at)
    sold_in, markets_at = _last(markets, at, known.markets, known.markets_at)
    return ItemFacts(
        name=first.name or then.name,
        price=price,
        category=first.category or then.category,
        url=first.url or then.url,
        image_url=first.image_url or then.image_url,
        available=is_available,
        at=max(at, known.at) if is_told else known.at,
        markets=sold_in,
        price_at=price_at,
        available_at=available_at,
        markets_at=markets_at,
    )


def _last(word: _Word | None, at: int, known: _Word, known_at: int) -> tuple[_Word, int]:
    return (known, known_at) if word is None or at < known_at else (word, at)
