"""What customers did in the last minutes, for who reads their records only now and then; and what answers showed them.

A record that is seconds old, with what came since on top, is as good as a fresh one: taking in an event that the record
has already changes nothing.  Nor does an answer that was taken in before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock

import msgspec
from msgspec.structs import replace

from operators.recommender.shown import SHOWN_MAX, came_since, came_to, showed, together
from state import events as ev
from state.events import Event
from state.recommendations import History, Shown

CUSTOMERS_MAX = 100_000
PRODUCTS_MAX = 32  # of one customer, the ones touched last
SHOWN_CUSTOMERS_MAX = 50_000
APART_MS = 30 * 60_000  # a product is counted as shown once in so long: in one visit, page after page

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(dict[str, Shown]).decode


@dataclass
class _Recent:
    """`version` counts what she did."""

    version: int = 0
    touched: dict[str, int] = field(default_factory=dict)
    carted: dict[str, int] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)
    bought: dict[str, int] = field(default_factory=dict)

    def note(self, what: dict[str, int], product: str, at: int) -> None:
        self.version += 1
        what[product] = max(at, what.pop(product, 0))
        if len(what) > PRODUCTS_MAX:
            del what[next(iter(what))]


class RecentEvents:
    """Bounded: of too many customers those are forgotten who did nothing for longest.  For several threads."""

    def __init__(self, customers_max: int = CUSTOMERS_MAX) -> None:
        self._customers_max = customers_max
        self._recent: OrderedDict[str, _Recent] = OrderedDict()
        self._lock = Lock()

    def take(self, event: Event) -> None:
        if not event.customer or not isinstance(event, ev.ProductEvent | ev.OrderCompleted):
            return
        with self._lock:
            hers = self._recent.setdefault(event.customer, _Recent())
            self._recent.move_to_end(event.customer)
            if len(self._recent) > self._customers_max:
                self._recent.popitem(last=False)
            match event:
                case ev.ProductViewed():
                    hers.note(hers.touched, event.product_id, event.at)
                case ev.ProductAdded():
                    hers.note(hers.touched, event.product_id, event.at)
                    hers.note(hers.carted, event.product_id, event.at)
                case ev.ProductRemoved():
                    hers.note(hers.removed, event.product_id, event.at)
                case ev.OrderCompleted():
                    for line in event.products:
                        hers.note(hers.bought, line.product_id, event.at)

    def version(self, customer: str) -> int:
        """Another number after each thing she does."""
        with self._lock:
            hers = self._recent.get(customer)
            return hers.version if hers is not None else 0

    def added_to(self, history: History, customer: str) -> History:
        """What her record said, and what she did since."""
        with self._lock:
            hers = self._recent.get(customer)
            if hers is None:
                return history
            touched, carted = dict(history.touched), set(history.carted)
            for product, at in hers.touched.items():
                touched[product] = max(at, touched.pop(product, 0))
            in_cart = set(history.in_cart)
            for product, at in hers.carted.items():
                carted.add(product)
                if at > max(hers.removed.get(product, 0), hers.bought.get(product, 0)):
                    in_cart.add(product)
            for product, at in (hers.removed | hers.bought).items():
                if at >= hers.carted.get(product, 0):
                    in_cart.discard(product)
            bought = {product: list(times) for product, times in history.bought.items()}
            for product, at in hers.bought.items():
                times = bought.setdefault(product, [])
                if at not in times:
                    times.append(at)
        # What she did not do is as her record says: her market, what was shown to her.
        return replace(history, touched=touched, carted=frozenset(carted), in_cart=frozenset(in_cart), bought=bought)


class RecentlyShown:
    """How often answers showed a product to a customer who did not come to it.  Packed, for it is of many; bounded, and
    for several threads, as `RecentEvents` is."""

    def __init__(self, customers_max: int = SHOWN_CUSTOMERS_MAX) -> None:
        self._customers_max = customers_max
        self._packed: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def note(self, customer: str, items: Iterable[str], at: int) -> None:
        """An answer was given, best first."""
        with self._lock:
            known = self._of(customer)
            self._packed[customer] = _pack(showed(known, list(items)[:SHOWN_MAX], at, APART_MS))
            self._packed.move_to_end(customer)
            if len(self._packed) > self._customers_max:
                self._packed.popitem(last=False)

    def take(self, event: Event) -> None:
        """What she comes to begins anew."""
        if event.customer not in self._packed:
            return
        match event:
            case ev.ProductViewed() | ev.ProductAdded():
                products = [event.product_id]
            case ev.OrderCompleted():
                products = [line.product_id for line in event.products]
            case _:
                return
        with self._lock:
            known = self._of(event.customer)
            for product in products:
                came_to(known, product, event.at)
            self._packed[event.customer] = _pack(known)

    def added_to(self, history: History, customer: str) -> History:
        """What her record says that messages showed her, and what answers did.

        What she came to since begins anew here as well: answers are looked up from longer ago than events are.
        """
        with self._lock:
            known = self._of(customer)
            came = [item for item, shown in known.items() if came_since(history, item, shown)]
            if came:
                for item in came:
                    del known[item]
                self._packed[customer] = _pack(known)
        return replace(history, shown=together(history.shown, known)) if known else history

    def _of(self, customer: str) -> dict[str, Shown]:
        packed = self._packed.get(customer)
        return _unpack(packed) if packed is not None else {}
