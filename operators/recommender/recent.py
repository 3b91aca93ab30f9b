"""What customers did in the last minutes, for who reads their records only now and then.

A record that is seconds old, with what came since on top, is as good as a fresh one: taking in an event that the record
has already changes nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock

from state import events as ev
from state.events import Event
from state.recommendations import History

CUSTOMERS_MAX = 100_000
PRODUCTS_MAX = 32  # of one customer, the ones touched last


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
        return History(touched=touched, carted=frozenset(carted), in_cart=frozenset(in_cart), bought=bought)
