"""The whole loop in one process: what is shown, what is chosen of it, who ranks then, and what is shown then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest

from operators.recommender import answers
from operators.recommender.features import whole
from operators.recommender.impressions import Impressions
from operators.recommender.lessons import Lessons
from operators.recommender.model import STATE, CoVisitation
from operators.recommender.ranking import CHAMPION, Weights, encode
from operators.recommender.reading import Learnt
from operators.recommender.reranking import Reranking
from operators.recommender.shelf import Shelf
from state import events as ev
from state.item_store import ItemStore
from state.recommendations import History
from state.rocks import Memory

NOW, MINUTE = 1_767_571_200_000, 60_000
PRODUCTS, SHOWN = 60, 6
Chooses = Callable[[Random, Sequence[str]], str]


class Shop:
    """Visitors look at a product and one that is near it; the lower its number, the more it sells."""

    def __init__(self, folder: Path) -> None:
        self.store = ItemStore.open(folder, Memory(8, 8))
        shelf, dice = Shelf(self.store), Random(5)
        model = CoVisitation(shelf)
        lessons = Lessons(model, shelf)
        for n in range(4_000):
            first = near(dice, dice.randrange(PRODUCTS))
            for minute, product in enumerate((first, near(dice, first), near(dice, first))):
                seen = ev.ProductViewed(product_id=f"p{product}", at=NOW - 9_000_000 + 1_000 * n + minute)
                lessons.take(b"%d" % n, seen)
        rows, facts = shelf.to_save()
        self.store.commit(rows, facts, {STATE: model.state_bytes()}, {})
        self.contest = Reranking()
        self.learnt = self.read()
        self.impressions = Impressions(
            lambda choice: self.contest.learn(
                [whole(one) for one in choice.shown], choice.chosen, choice.passed, judge=choice.first
            )
        )

    def read(self) -> Learnt:
        """As who reads sees it a moment after it was saved."""
        self.store.commit({}, {}, {CHAMPION: encode(self.contest.champion)}, {})
        learnt = Learnt(lambda: self.store)
        learnt.refresh()
        return learnt

    def goes_on(self, answered: int, chooses: Chooses, seed: int = 11) -> list[list[str]]:
        """So many visitors are shown something and choose of it; what they were shown."""
        dice, pages = Random(seed), []
        for n in range(answered):
            who, at = f"c{seed}-{n}", NOW + n * MINUTE
            touched = {f"p{dice.randrange(PRODUCTS)}": at - MINUTE}
            if self.contest.champion != self.learnt.champion:
                self.learnt = self.read()
            made = answers.recommend(
                self.learnt, History(touched=touched), "discover", SHOWN, id=who, now=at, customer=who, describe=True
            )
            page = [each.item for each in made.items]
            pages.append(page)
            self.impressions.show(who.encode(), encode(made))
            self.impressions.take(who.encode(), ev.ProductViewed(product_id=chooses(dice, page), at=at + 1_000))
        return pages


def near(dice: Random, product: int) -> int:
    return min(PRODUCTS - 1, int(abs(product + dice.gauss(0, 4)) * dice.random() ** 0.3))


def number(item: str) -> int:
    return int(item.removeprefix("p"))


def likes_what_few_know(dice: Random, page: Sequence[str]) -> str:
    return max(page, key=number) if dice.random() < 0.8 else page[0]


def looks_from_the_top(dice: Random, page: Sequence[str]) -> str:
    return page[min(int(dice.expovariate(0.7)), len(page) - 1)]


def takes_any(dice: Random, page: Sequence[str]) -> str:
    return dice.choice(page)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def stands(pages: Sequence[Sequence[str]]) -> float:
    """How high what few know stands, from 0 for the first place."""
    return sum(page.index(max(page, key=number)) for page in pages) / len(pages)


def test_what_visitors_like_comes_to_stand_higher_and_answers_name_the_version(shop: Shop) -> None:
    before = stands(shop.goes_on(300, likes_what_few_know))
    shop.goes_on(1_500, likes_what_few_know, seed=12)
    after = stands(shop.goes_on(300, likes_what_few_know, seed=11))
    assert shop.contest.champion.number >= 1
    assert after < before / 2
    shop.store.close()


@pytest.mark.parametrize("chooses", [looks_from_the_top, takes_any])
def test_where_visitors_like_nothing_in_particular_nobody_takes_the_champions_place(
    shop: Shop, chooses: Chooses
) -> None:
    shop.goes_on(3_000, chooses)
    standing = shop.contest.standing()
    assert shop.contest.champion == Weights()
    assert [each.judged for each in standing.scores] == [3_000, 3_000]
    assert all(each.gain < 0.05 * each.judged for each in standing.scores)
    shop.store.close()
