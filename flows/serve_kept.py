"""Answers that stand for a while: in memory alone, bounded by how many products they name, gone once they are too old.

Whether one would still be given is another's to say; here is only what was given, and when.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from state.recommendations import Block, Recommendation

KEPT_SECONDS = 10.0  # how long an answer stands while she does nothing
KEPT_SIMILAR_SECONDS = 1.0  # the same of what is for nobody: the learner writes as often
ANSWERS_MAX = 20_000
PRODUCTS_MAX = 250_000  # shown or left out, of all answers together: 20,000 of twelve, some 80 MiB

Key = tuple[str, Block, int, frozenset[str]]
Versions = dict[str, int]  # of each id of hers, what `RecentEvents` counted when she was looked up


class Kept(NamedTuple):
    """An answer, when it was given, and what had been heard of her by then."""

    versions: Versions
    at: float
    answer: Recommendation


class KeptAnswers:
    """By what was asked, oldest first."""

    def __init__(self, *, answers_max: int = ANSWERS_MAX, products_max: int = PRODUCTS_MAX) -> None:
        self._answers_max, self._products_max = answers_max, products_max
        self._kept: OrderedDict[Key, Kept] = OrderedDict()
        self.products = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key, now: float) -> Kept | None:
        """None where it is too old by `now`."""
        kept = self._kept.get(key)
        if kept is None or now - kept.at >= (KEPT_SECONDS if kept.answer.customer else KEPT_SIMILAR_SECONDS):
            return None
        return kept

    def put(self, key: Key, kept: Kept) -> None:
        """In the place of what was kept for the same; makes room."""
        before = self._kept.pop(key, None)
        if before is not None:
            self.products -= _products(key, before)
        self._kept[key] = kept
        self.products += _products(key, kept)
        while self._is_too_much(kept.at):
            self.products -= _products(*self._kept.popitem(last=False))

    def _is_too_much(self, now: float) -> bool:
        if len(self._kept) > self._answers_max or self.products > self._products_max:
            return True
        return now - next(iter(self._kept.values())).at >= KEPT_SECONDS


def _products(key: Key, kept: Kept) -> int:
    return len(kept.answer.items) + len(key[3])
