"""The three things a shop can show a customer, which are three different problems.

`abandoned` is what she touched and did not buy, `buy_again` what she buys again and again, `discover` what she has not
touched.  What may not be shown is left out before the list is cut, so that the list is full while there is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from itertools import islice, pairwise
from statistics import median
from typing import NamedTuple

from operators.recommender.model import CoVisitation
from operators.recommender.visits import LENGTH, Visit
from state.recommendations import Block, History

DAY_MS = 86_400_000
TOUCHED_HALF_LIFE_MS = 3 * DAY_MS
BOUGHT_HALF_LIFE_MS = 90 * DAY_MS
IN_CART = 3.0  # what a product that lay in the cart counts, against one that was looked at
SPARE = 50  # candidates beyond those that are surely dropped, for what is not for sale


class Choice(NamedTuple):
    """One product, its score within its block, why, and the product it follows from, if one."""

    item: str
    score: float
    reason: str
    because: str = ""


def visit_of(history: History) -> Visit:
    return Visit(list(history.touched)[-LENGTH:])


def choose(
    block: Block, model: CoVisitation, history: History, limit: int, now: int, may_show: Callable[[str], bool]
) -> list[Choice]:
    """The best of a block, at most `limit`; `may_show` says of a product whether it is for sale and wanted."""
    match block:
        case "abandoned":
            found: Iterable[Choice] = _abandoned(model, history, now)
        case "buy_again":
            found = _buy_again(history, now)
        case "discover" | "similar":
            known = history.touched.keys() | history.bought.keys() | history.in_cart
            found = _discover(model, visit_of(history), known, limit + SPARE)
    return list(islice((choice for choice in found if may_show(choice.item)), limit))


def popular(model: CoVisitation, limit: int, may_show: Callable[[str], bool]) -> list[Choice]:
    """What sells, for those of whom nothing is known, and where a block has too little."""
    ranked = model.recommend(Visit(), limit + SPARE)
    return list(islice((Choice(item, score, "popular") for item, score in ranked if may_show(item)), limit))


def _abandoned(model: CoVisitation, history: History, now: int) -> list[Choice]:
    visit = visit_of(history)
    found = []
    for item, at in history.touched.items():
        if at <= max(history.bought.get(item, ()), default=0):
            continue
        carted = item in history.carted or item in history.in_cart
        fresh = 0.5 ** (max(0, now - at) / TOUCHED_HALF_LIFE_MS)
        score = (IN_CART if carted else 1.0) * fresh + model.score(visit, item)
        found.append(Choice(item, score, "in_cart" if carted else "viewed"))
    return sorted(found, key=lambda choice: (-choice.score, choice.item))


def _buy_again(history: History, now: int) -> list[Choice]:
    found = []
    for item, times in history.bought.items():
        weight: float = sum(0.5 ** (max(0, now - at) / BOUGHT_HALF_LIFE_MS) for at in times)
        found.append(Choice(item, weight * _due(sorted(times), now), "bought_before"))
    return sorted(found, key=lambda choice: (-choice.score, choice.item))


def _due(times: list[int], now: int) -> float:
    """How near it is to when she usually buys it again: 1 from then on."""
    if len(times) < 2:
        return 1.0
    interval = median(later - earlier for earlier, later in pairwise(times))
    return min(1.0, max(0.0, (now - times[-1]) / interval)) if interval else 1.0


def _discover(model: CoVisitation, visit: Visit, known: Set[str], limit: int) -> Iterator[Choice]:
    for item, score in model.recommend(visit, limit + len(known)):
        if item not in known:
            because = _because(model, visit, item)
            yield Choice(item, score, "seen_together" if because else "popular", because)


def _because(model: CoVisitation, visit: Visit, item: str) -> str:
    """The product of her visit that leads here most; empty where none does."""
    best, most = "", 0.0
    for product in visit.products:
        row = model.rows.get(product)
        if row is not None:
            share = max(_share(each.of.get(item, 0.0), each.total) for each in (row.after, row.before))
            if share > most:
                best, most = product, share
    return best


def _share(weight: float, total: float) -> float:
    return weight / total if total else 0.0
