"""How often a product was recommended to a customer without her coming to it.

A count for each product and when it grew last.  Bounded, and the same for any order of the same showings, but for what
is forgotten first.  What follows from it a rule of the shop says: `operators.recommender.rules.at_most_shown`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from state.recommendations import History, Shown

SHOWN_MAX = 64  # products shown last
FORGET_MS = 60 * 86_400_000  # what was not shown for so long is forgotten
CLOCKS_DIFFER_MS = 600_000  # who came to it so long before it was shown may have come after it, by another clock


def showed(known: Mapping[str, Shown], items: Iterable[str], at: int, apart_ms: int = 0) -> dict[str, Shown]:
    """With these products shown once more; what was counted less than `apart_ms` before, or later, is left as it is."""
    shown = {item: each for item, each in known.items() if at - each.at < FORGET_MS}
    for item in dict.fromkeys(items):
        before = shown.get(item)
        if before is None:
            shown[item] = Shown(1, at)
        elif not apart_ms or at - before.at >= apart_ms:
            shown[item] = Shown(before.times + 1, max(at, before.at))
    return _newest(shown)


def together(one: Mapping[str, Shown], other: Mapping[str, Shown]) -> dict[str, Shown]:
    """As if all had been shown to one."""
    both = dict(one)
    for item, hers in other.items():
        mine = both.get(item)
        both[item] = hers if mine is None else Shown(mine.times + hers.times, max(mine.at, hers.at))
    return _newest(both)


def came_to(shown: dict[str, Shown], item: str, at: int) -> None:
    """She came to a product: what was counted by then is counted no more."""
    known = shown.get(item)
    if known is not None and at >= known.at - CLOCKS_DIFFER_MS:
        del shown[item]


def came_since(history: History, item: str, shown: Shown) -> bool:
    """Whether she came to a product since it was shown last, as far as is remembered."""
    came = max(history.touched.get(item, 0), *history.bought.get(item, ()), 0)
    return came > 0 and came >= shown.at - CLOCKS_DIFFER_MS


def _newest(shown: dict[str, Shown]) -> dict[str, Shown]:
    if len(shown) <= SHOWN_MAX:
        return shown
    return dict(sorted(shown.items(), key=lambda entry: (entry[1].at, entry[0]))[-SHOWN_MAX:])
