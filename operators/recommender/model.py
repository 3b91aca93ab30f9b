"""Decayed sequential co-visitation: what comes next, from what others did after and before the same products.

Session kNN (Jannach & Ludewig, 2017; Kersbergen et al., *Serenade*, 2022) looks at the last few products, too, and
keeps sessions to compare with.  Here each product keeps a bounded row of neighbours instead: an event teaches at once,
and costs the same however many went before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from operators.recommender.decay import DAY_MS, gain
from operators.recommender.guesses import Guesses, fresh_trust, guesses
from operators.recommender.popularity import Popularity
from operators.recommender.rows import Row, check_version, damaged
from operators.recommender.store import InMemory, Rows
from operators.recommender.trust import Trust
from operators.recommender.visits import Visit, lessons

VERSION = 1
STATE = "model"  # the name under which a store keeps `state_bytes`
POPULAR_MS = DAY_MS  # half-life of popularity
_HARDLY = 0.2  # comings again, of one product more than came, before anybody came
CATEGORIES_MAX = 1_000
# Of how many events one judges the guesses, up to so many events; the weights move less and less.
_JUDGED = ((2_000, 2), (20_000, 16))
_SELDOM = 64


class _State(msgspec.Struct, array_like=True):
    """All but the rows: a few tens of kilobytes."""

    trust: Trust
    popularity: Popularity
    categories: dict[str, Popularity] = {}
    events: int = 0
    again: Popularity = msgspec.field(default_factory=lambda: Popularity(POPULAR_MS))


Heard = Callable[[str, Sequence[tuple[str, float]], float], None]
"""A product, those she came from to it with their parts, and what all of them are worth."""


class CoVisitation:
    """Learns from visits, and scores what may come next in one."""

    def __init__(self, rows: Rows | None = None, heard: Heard | None = None) -> None:
        """`heard` is told of each lesson that rows were taught."""
        self.rows: Rows = InMemory() if rows is None else rows
        self._heard = heard
        self._state = _State(fresh_trust(), Popularity(POPULAR_MS))

    def learn(self, visit: Visit, product: str, at: int, weight: float = 1.0, category: str = "") -> None:
        """She came to this product at this time (ms).  `weight`: what such an event counts, 1 for a view."""
        if visit.may_teach(at):
            self._judge(visit, product, at)
            self._connect(visit, product, gain(at), weight)
            if product not in visit.seen:
                self._count(product, at, category)
            else:
                self._state.again.add(product, at)
        visit.see(product, at, weight)

    def guesses(self, visit: Visit, at: int) -> Guesses:
        """At what may come next; `scores` and `reason` take them, so that they are made once."""
        return guesses(visit, self.rows, self._state.popularity, gain(at))

    def scores(self, guessed: Guesses) -> dict[str, float]:
        """Candidates with their scores, in no order; what she saw already is among them."""
        return guessed.scores(self._state.trust.weights)

    def reason(self, guessed: Guesses, product: str) -> tuple[str, str]:
        """Why it is a candidate (see `guesses.KINDS`), and the product she saw that it comes from, where one is."""
        return guessed.reason(product, self._state.trust.weights)

    def popular(self, category: str = "") -> dict[str, float]:
        """What sells, in this category where one is named and known, with shares."""
        known = self._sold(category)
        return known.leaders() if known else {}

    def selling(self, category: str = "") -> dict[str, float]:
        """The same of all that is counted, not of those alone that lead; slower."""
        known = self._sold(category)
        return known.shares() if known else {}

    def sells(self, product: str) -> float:
        """Its share of what sells now."""
        return self._state.popularity.of(product)

    def again(self, at: int) -> Callable[[str], float]:
        """Of a product: the share of those who come to it at this moment that had come before."""
        first, again = self._state.popularity, self._state.again
        of_first, of_again = first.fading(at), again.fading(at)
        get_first, get_again = first.counts.get, again.counts.get

        def share(product: str) -> float:
            more = get_again(product, 0.0) * of_again
            return (more + _HARDLY) / (more + get_first(product, 0.0) * of_first + 1.0)

        return share

    def state_bytes(self) -> bytes:
        """All but the rows, for `restore`."""
        return bytes((VERSION,)) + msgspec.msgpack.encode(self._state)

    def restore(self, stored: bytes) -> None:
        """Raises `StoreRefused` for bytes of a newer version, `StoreDamaged` for other ones."""
        check_version(stored, VERSION)
        try:
            state = msgspec.msgpack.decode(memoryview(stored)[1:], type=_State)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise damaged(error) from None
        fresh = fresh_trust()
        if state.again.half_life_ms != POPULAR_MS:
            state.again = Popularity(POPULAR_MS)  # in its place something else was counted once, by the hour
        if len(state.trust.weights) != len(fresh.weights):
            state.trust = fresh  # learnt by another mixture: these weights are soon learnt anew
        self._state = state

    def _judge(self, visit: Visit, product: str, at: int) -> None:
        """Which guesses deserved it.  They are the same for all, so who is not heard is not asked here, either."""
        state = self._state
        if visit.seen:
            state.events += 1
            if not state.events % _one_of(state.events):
                state.trust.judge(self.guesses(visit, at).probabilities(product))

    def _connect(self, visit: Visit, product: str, now: float, weight: float) -> None:
        taught = lessons(visit, product, weight)
        if not taught:
            return
        get, put = self.rows.get, self.rows.put
        for earlier, part in taught:
            there = get(earlier) or Row()
            there.follow(product, part * now)
            put(earlier, there)
        here = get(product) or Row()
        here.precede(taught, now)
        put(product, here)
        if self._heard is not None:
            self._heard(product, taught, now)

    def _sold(self, category: str) -> Popularity | None:
        return self._state.categories.get(category) if category else self._state.popularity

    def _count(self, product: str, at: int, category: str) -> None:
        self._state.popularity.add(product, at)
        if not category:
            return
        categories = self._state.categories
        known = categories.get(category)
        if known is None:
            if len(categories) >= CATEGORIES_MAX:
                return
            known = categories[category] = Popularity(POPULAR_MS)
        known.add(product, at)


def _one_of(events: int) -> int:
    for up_to, one_of in _JUDGED:
        if events < up_to:
            return one_of
    return _SELDOM
