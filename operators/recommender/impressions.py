"""What was shown to whom, until it is known what she chose of it: the lessons of a re-ranking.

She chose a product where she came to it within a day of its being shown, or ordered it within seven.  That is the doing
of the recommendation that showed it last before, once for each, and once more for each stronger thing she does: a cart
after a view, an order after either.  Topics are read side by side, so what she did is remembered for a while for a
recommendation that is read after it.

**Place.** What stands higher is looked at more, whatever it is.  So the chosen product is compared with its two
neighbours on the page alone, the one right above and the one right below, which were looked at about as much as it was
(Joachims et al., 2005: above a click nearly all is looked at, and the next one below).  Were clicks spread evenly, what
such pairs say of a place would cancel out; were all above compared and nothing below, low places would seem liked, and
with all below, whatever stands first would only confirm itself.

**Poisoning.** A visitor teaches `TAUGHT_MAX` times at once, and then as fast as half of that is forgotten in a day.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import NamedTuple

import msgspec

from operators.recommender.decay import DAY_MS
from operators.recommender.features import Features
from state import events as ev
from state.events import Event
from state.instants import parse_instant
from state.recommendations import BOUGHT_MS, CLICKED_MS

LISTS_MAX = 20_000  # of all customers; beyond, those go to whom nothing was shown, and who chose nothing, for longest
LISTS_EACH = 8
EARLY_MAX, EARLY_EACH = 5_000, 8  # customers, and what each did last
LINES_MAX = 50
TAUGHT_MAX = 20.0
VIEW, CART, ORDER = 1, 2, 3
_features = msgspec.json.Decoder(list[Features]).decode


class _Item(msgspec.Struct):
    item: str


class _Logged(msgspec.Struct):
    """What is needed of a `Recommendation`; its features stay as they are until something is chosen."""

    recommendation_id: str
    at: str
    items: tuple[_Item, ...]
    features: msgspec.Raw = msgspec.Raw(b"")


_logged = msgspec.json.Decoder(_Logged).decode


class Choice(NamedTuple):
    """Of what was `shown`, in the order it came, she chose one; `passed` are its neighbours on the page.

    But for those that she chose, too.  `first`: the first time that she chose it there.  What was shown is as it was
    logged, see `features.whole`.
    """

    shown: list[Features]
    chosen: int
    passed: list[int]
    first: bool


class _Shown(msgspec.Struct):
    """`new`: not read by an earlier run; `taught`: the strongest thing she did to each product that she chose."""

    at: int
    id: str
    items: tuple[str, ...]
    features: bytes
    new: bool
    taught: dict[str, int] = {}


class _Came(msgspec.Struct):
    """`told`: it is known what showed it."""

    at: int
    item: str
    strength: int
    new: bool
    told: bool = False


@dataclass(slots=True)
class _Hers:
    shown: list[_Shown] = field(default_factory=list)  # oldest first
    spent: float = 0.0
    spent_at: int = 0

    def may_teach(self, at: int) -> bool:
        """True while she is heard; counts as one lesson."""
        if at > self.spent_at:
            self.spent *= 0.5 ** ((at - self.spent_at) / DAY_MS)
            self.spent_at = at
        if self.spent >= TAUGHT_MAX:
            return False
        self.spent += 1.0
        return True


class Impressions:
    """`on_choice` hears each choice once.  `who` is any name of a customer, such as the hash of her id.

    What is not `new` was heard by an earlier run: a choice is told only where what was shown or what she did is new.
    """

    def __init__(self, on_choice: Callable[[Choice], None], *, lists_max: int = LISTS_MAX) -> None:
        self._on_choice, self._lists_max = on_choice, lists_max
        self._hers: OrderedDict[bytes, _Hers] = OrderedDict()
        self._early: OrderedDict[bytes, list[_Came]] = OrderedDict()
        self.lists = 0

    def show(self, who: bytes, logged: bytes | None, *, new: bool = True) -> None:
        """A record of the log of recommendations; left out where it does not say what its products were ranked by."""
        try:
            made = _logged(logged or b"")
            at = parse_instant(made.at)
        except (msgspec.MsgspecError, ValueError):
            return
        if not made.features:
            return
        hers = self._hers.setdefault(who, _Hers())
        if any(each.id == made.recommendation_id for each in hers.shown):
            return
        items = tuple(each.item for each in made.items)
        shown = _Shown(at, made.recommendation_id, items, bytes(made.features), new)
        self._keep(who, hers, [*hers.shown, shown])
        for came in self._early.get(who, ()):
            if not came.told:
                self._match(hers, came)
            elif came.item in items and at <= came.at:
                # It was taken for the doing of what showed it before; it is not to be this one's as well.
                shown.taught[came.item] = max(came.strength, shown.taught.get(came.item, 0))

    def take(self, who: bytes, event: Event, *, new: bool = True) -> None:
        for item, strength in _chosen_by(event):
            came = _Came(event.at, item, strength, new)
            hers = self._hers.get(who)
            if hers is not None:
                self._match(hers, came)
                self._hers.move_to_end(who)
            early = self._early.setdefault(who, [])
            early.append(came)
            del early[:-EARLY_EACH]
            self._early.move_to_end(who)
            if len(self._early) > EARLY_MAX:
                self._early.popitem(last=False)

    def forget(self, who: bytes) -> None:
        hers = self._hers.pop(who, None)
        self.lists -= len(hers.shown) if hers is not None else 0
        self._early.pop(who, None)

    def join(self, who: bytes, was: bytes) -> None:
        """Two customers turned out to be one."""
        early = [*self._early.pop(was, ()), *self._early.get(who, ())]
        other = self._hers.get(was)
        self.forget(was)
        if early:
            self._early[who] = early[-EARLY_EACH:]
        if other is not None:
            mine = self._hers.setdefault(who, _Hers())
            mine.spent, mine.spent_at = mine.spent + other.spent, max(mine.spent_at, other.spent_at)
            self._keep(who, mine, [*mine.shown, *other.shown])

    def _keep(self, who: bytes, hers: _Hers, shown: list[_Shown]) -> None:
        shown.sort(key=lambda each: each.at)
        since = shown[-1].at - BOUGHT_MS
        kept = [each for each in shown if each.at >= since][-LISTS_EACH:]
        self.lists += len(kept) - len(hers.shown)
        hers.shown = kept
        self._hers.move_to_end(who)
        while self.lists > self._lists_max:
            _, gone = self._hers.popitem(last=False)
            self.lists -= len(gone.shown)

    def _match(self, hers: _Hers, came: _Came) -> None:
        shown = next((each for each in reversed(hers.shown) if each.at <= came.at and came.item in each.items), None)
        if shown is None or came.at - shown.at > (BOUGHT_MS if came.strength == ORDER else CLICKED_MS):
            return
        came.told = True
        before = shown.taught.get(came.item, 0)
        if came.strength <= before:
            return
        shown.taught[came.item] = came.strength
        if not hers.may_teach(came.at) or not (came.new or shown.new):
            return
        choice = _choice(shown, came.item, first=not before)
        if choice is not None:
            self._on_choice(choice)


def _chosen_by(event: Event) -> Iterator[tuple[str, int]]:
    match event:
        case ev.ProductViewed():
            yield event.product_id, VIEW
        case ev.ProductAdded():
            yield event.product_id, CART
        case ev.OrderCompleted():
            for line in event.products[:LINES_MAX]:
                yield line.product_id, ORDER


def _choice(shown: _Shown, item: str, *, first: bool) -> Choice | None:
    """None where it was no candidate (the shop had pinned it), or nothing to compare it with was shown."""
    try:
        told = list(zip(shown.items, _features(shown.features), strict=False))
    except msgspec.MsgspecError:
        return None
    page = [(each, one) for each, one in told if "place" in one and all(map(isfinite, one.values()))]
    at = next((place for place, (each, _) in enumerate(page) if each == item), None)
    if at is None or len(page) < 2:
        return None
    came = sorted(range(len(page)), key=lambda place: -page[place][1]["place"])
    beside = [place for place in (at - 1, at + 1) if 0 <= place < len(page)]
    passed = [came.index(place) for place in beside if page[place][0] not in shown.taught]
    return Choice([page[place][1] for place in came], came.index(at), passed, first)
