"""The three things a shop can show a customer, which are three different problems.

`abandoned` is what she touched and did not buy, `buy_again` what she buys again and again, `discover` what she has not
touched.  What may not be shown is left out before the list is cut, so that the list is full while there is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from itertools import chain, islice, pairwise
from statistics import median
from typing import NamedTuple

from operators.recommender.choosing import in_order
from operators.recommender.model import CoVisitation
from operators.recommender.visits import MEMORY, Visit
from state.recommendations import Block, History

DAY_MS = 86_400_000
TOUCHED_HALF_LIFE_MS = 3 * DAY_MS
BOUGHT_HALF_LIFE_MS = 90 * DAY_MS
IN_CART = 3.0  # what a product that lay in the cart counts, against one that was looked at
POPULAR, PINNED = "popular", "pinned"
SPARE = 50  # candidates beyond those that are shown, for the shop's rules to choose from


class Choice(NamedTuple):
    """One product, its score within its block, why, and the product it follows from, if one."""

    item: str
    score: float
    reason: str
    because: str = ""


Arrange = Callable[[Iterable[Choice]], Iterable[Choice]]
"""Puts candidates, best first, into the order of the shop's rules."""


Reorder = Callable[[Visit, Iterable[tuple[str, float]]], Iterable[tuple[str, float]]]
"""Puts candidates of a visit with their scores, best first, into an order that was learnt."""


def _as_they_come(found: Iterable[Choice]) -> Iterable[Choice]:
    return found


def _as_scored(_: Visit, ranked: Iterable[tuple[str, float]]) -> Iterable[tuple[str, float]]:
    return ranked


def visit_of(history: History) -> Visit:
    visit = Visit()
    for product in list(history.touched)[-MEMORY:]:
        visit.see(product, history.touched[product], IN_CART if product in history.carted else 1.0)
    return visit


def choose(
    block: Block,
    model: CoVisitation,
    history: History,
    limit: int,
    now: int,
    may_show: Callable[[str], bool],
    arrange: Arrange = _as_they_come,
    pinned: Sequence[str] = (),
    reorder: Reorder = _as_scored,
    resting: Set[str] = frozenset(),
) -> list[Choice]:
    """The best of a block, at most `limit`; `may_show` says of a product whether it is for sale and wanted.

    `pinned` go first, but for what she bought or has in her cart; `arrange` puts the others into order, after
    `reorder` did so with what is found by co-visitation; `resting` come only where there is not enough else.
    """
    hers = history.bought.keys() | history.in_cart
    first = [Choice(item, 0.0, PINNED) for item in pinned if item not in hers and may_show(item)]
    fixed = {choice.item for choice in first}

    def is_wanted(item: str) -> bool:
        return item not in fixed and may_show(item)

    match block:
        case "abandoned":
            found: Iterable[Choice] = (c for c in _abandoned(model, history, now) if is_wanted(c.item))
        case "buy_again":
            found = (c for c in _buy_again(history, now) if is_wanted(c.item))
        case "discover" | "similar":
            known = history.touched.keys() | history.bought.keys() | history.in_cart
            count = limit + SPARE + len(resting)
            found = _discover(model, visit_of(history), known, count, now, is_wanted, reorder)
    return list(islice(chain(first, _arranged(found, arrange, resting)), limit))


def popular(
    model: CoVisitation,
    limit: int,
    may_show: Callable[[str], bool],
    arrange: Arrange = _as_they_come,
    resting: Set[str] = frozenset(),
    categories: Sequence[str] = (),
) -> list[Choice]:
    """What sells, for those of whom nothing is known, and where a block has too little: first of these categories."""
    count = limit + SPARE + len(resting)
    ranked = _selling(model, categories, count)
    shown = (Choice(item, score, POPULAR) for item, score in ranked if may_show(item))
    return list(islice(_arranged(islice(shown, count), arrange, resting), limit))


def _selling(model: CoVisitation, categories: Sequence[str], likely: int) -> Iterator[tuple[str, float]]:
    """Each once: what leads, then whatever else is counted.  One more for each category that is still to come."""
    told = set[str]()
    for before, category in enumerate((*categories, "")):
        for shares in (model.popular, model.selling):
            for item, share in in_order(shares(category), likely):
                if item not in told:
                    told.add(item)
                    yield item, share + len(categories) - before


def _arranged(found: Iterable[Choice], arrange: Arrange, resting: Set[str]) -> Iterator[Choice]:
    """In the order of the shop's rules, as if there were nothing that rests; that comes after all else."""
    behind: list[Choice] = []

    def rested() -> Iterator[Choice]:
        for choice in found:
            if choice.item in resting:
                behind.append(choice)
            else:
                yield choice

    yield from arrange(rested())
    yield from arrange(behind)


def _abandoned(model: CoVisitation, history: History, now: int) -> list[Choice]:
    scores = model.scores(model.guesses(visit_of(history), now))
    found = []
    for item, at in history.touched.items():
        if at <= max(history.bought.get(item, ()), default=0):
            continue
        carted = item in history.carted or item in history.in_cart
        fresh = 0.5 ** (max(0, now - at) / TOUCHED_HALF_LIFE_MS)
        score = (IN_CART if carted else 1.0) * fresh + scores.get(item, 0.0)
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


def _discover(
    model: CoVisitation,
    visit: Visit,
    known: Set[str],
    limit: int,
    now: int,
    is_wanted: Callable[[str], bool],
    reorder: Reorder,
) -> Iterator[Choice]:
    guessed = model.guesses(visit, now)
    new = {item: score for item, score in model.scores(guessed).items() if item not in known}
    ranked = ((item, score) for item, score in in_order(new, limit) if is_wanted(item))
    for item, score in reorder(visit, islice(ranked, limit)):
        reason, source = model.reason(guessed, item)
        if reason == POPULAR:
            yield Choice(item, score, POPULAR)
        else:
            yield Choice(item, score, "seen_together", source)
