"""What is compared: our ranker and the simple ones it must beat, all behind one small door."""

from __future__ import annotations

import heapq
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Sequence
from math import exp, sqrt
from typing import Protocol

from benchmarks.recommender.judging import CUT, Hits
from benchmarks.recommender.reading import Click
from operators.recommender.features import Features
from operators.recommender.ranker import CoVisits
from operators.recommender.ranking import Weights
from operators.recommender.reranking import STEPS, Reranking


class Model(Protocol):
    """`see` moves the visitor on without anybody learning from it."""

    def learn(self, click: Click) -> None: ...

    def see(self, click: Click) -> None: ...

    def recommend(self, session: str, at: int) -> Sequence[str]: ...


class Ours:
    """The recommender as it runs in the engine, all rows in memory."""

    def __init__(self) -> None:
        self._ranker = CoVisits()

    def learn(self, click: Click) -> None:
        self._ranker.learn_one(click.session, click.item, click.weight, {"at": click.at})

    def see(self, click: Click) -> None:
        self._ranker.see_one(click.session, click.item, click.weight, {"at": click.at})

    def recommend(self, session: str, at: int) -> Sequence[str]:
        return [product for product, _ in self._ranker.recommend(session, CUT, {"at": at})]


class Reranked(Ours):
    """The same candidates in the order that River's models learn from what came of those shown.

    What is shown is the champion's order; `found` tells beside it how each challenger would have ranked, and how they
    come (progressive validation: each is asked before it learns).
    """

    def __init__(self) -> None:
        super().__init__()
        self.reranking = Reranking()
        self.found = {name: Hits() for name in ("as they come", "champion", *map(_challenger, STEPS))}
        self._shown: dict[str, tuple[list[str], list[Features]]] = {}

    def learn(self, click: Click) -> None:
        if click.session in self._shown:
            items, described = self._shown.pop(click.session)
            chosen = items.index(click.item) if click.item in items else None
            self._judge(described, chosen)
            if chosen is not None:
                self.reranking.learn(described, chosen)
        super().learn(click)

    def recommend(self, session: str, at: int) -> Sequence[str]:
        ranked = self._ranker.recommend(session, CUT, {"at": at})
        items, described = [item for item, _ in ranked], self._ranker.describe(session, ranked, {"at": at})
        self._shown[session] = items, described
        return [items[place] for place in self.reranking.order(described)]

    def _judge(self, described: Sequence[Features], chosen: int | None) -> None:
        rankers = [Weights(), self.reranking.champion, *(each.weights() for each in self.reranking.challengers)]
        for hits, ranker in zip(self.found.values(), rankers, strict=True):
            hits.add(None if chosen is None else ranker.order(described).index(chosen))


def _challenger(step: float) -> str:
    return f"challenger {step:g}"


class Popular:
    """What was clicked most, halved each day."""

    HALF_LIFE_MS, HALVINGS_MAX = 86_400_000.0, 100
    FRESH = 200  # clicks after which the best are looked up anew, once there were ten times as many

    def __init__(self) -> None:
        self._counts: dict[str, float] = {}
        self._since: int | None = None
        self._top: list[str] = []
        self._age = self._learnt = 0

    def learn(self, click: Click) -> None:
        self._since = click.at if self._since is None else self._since
        halvings = (click.at - self._since) / self.HALF_LIFE_MS
        if halvings > self.HALVINGS_MAX:  # begin anew before numbers become too large
            self._counts = {item: count * 2.0**-halvings for item, count in self._counts.items()}
            self._since, halvings = click.at, 0.0
        self._counts[click.item] = self._counts.get(click.item, 0.0) + 2.0**halvings
        self._learnt += 1
        self._age += 1

    def see(self, click: Click) -> None: ...

    def recommend(self, session: str, at: int) -> Sequence[str]:
        if not self._top or self._age > min(self.FRESH, self._learnt // 10):
            self._top = heapq.nlargest(CUT, self._counts, key=self._counts.__getitem__)
            self._age = 0
        return self._top


class CoOccurrence:
    """What was in the same sessions as the last item (item-item counts, as in "customers who viewed this")."""

    def __init__(self) -> None:
        self._with: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._sessions: defaultdict[str, list[str]] = defaultdict(list)

    def learn(self, click: Click) -> None:
        for other in dict.fromkeys(self._sessions[click.session]):
            if other == click.item:
                continue
            self._with[other][click.item] += 1
            self._with[click.item][other] += 1
        self.see(click)

    def see(self, click: Click) -> None:
        self._sessions[click.session].append(click.item)

    def recommend(self, session: str, at: int) -> Sequence[str]:
        counts = self._with.get(self._sessions[session][-1])
        return heapq.nlargest(CUT, counts, key=counts.__getitem__) if counts else []


class SessionKNN:
    """Vector-multiplication session kNN (Ludewig & Jannach, *Evaluation of session-based recommendation*, 2018).

    The latest `SAMPLE` sessions that share an item are compared, `NEIGHBOURS` of them vote.
    """

    SAMPLE, NEIGHBOURS = 500, 100

    def __init__(self) -> None:
        self._sessions: defaultdict[str, list[str]] = defaultdict(list)
        self._learnt: defaultdict[str, list[str]] = defaultdict(list)
        self._having: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=self.SAMPLE))

    def learn(self, click: Click) -> None:
        items = self._learnt[click.session]
        if click.item not in items:
            items.append(click.item)
            self._having[click.item].append(click.session)
        self.see(click)

    def see(self, click: Click) -> None:
        self._sessions[click.session].append(click.item)

    def recommend(self, session: str, at: int) -> Sequence[str]:
        mine = list(OrderedDict.fromkeys(self._sessions[session]))
        likeness: dict[str, float] = defaultdict(float)
        for place, item in enumerate(mine, 1):
            for other in self._having.get(item, ()):
                likeness[other] += place / len(mine)
        likeness.pop(session, None)
        scores: dict[str, float] = defaultdict(float)
        for other in heapq.nlargest(self.NEIGHBOURS, likeness, key=likeness.__getitem__):
            items = self._learnt[other]
            latest = max(place for place, item in enumerate(mine, 1) if item in items)
            vote = likeness[other] * max(0.0, 1 - 0.1 * (len(mine) - latest))
            for item in items:
                scores[item] += vote
        return heapq.nlargest(CUT, scores, key=scores.__getitem__)


class STAN:
    """Sequence and time aware neighbourhood (Garg et al., SIGIR 2019), with the settings of the session-rec framework.

    Session kNN with three decays: by how far back in this session a product is, by how old the other session is, and by
    how far in it a product stands from the one both share.
    """

    SAMPLE, NEIGHBOURS = 1_000, 500
    BACK, AGE_MS, APART = 1.02, 5 * 86_400_000.0, 2.05

    def __init__(self) -> None:
        self._sessions: defaultdict[str, list[str]] = defaultdict(list)
        self._learnt: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._at: dict[str, int] = {}
        self._having: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=self.SAMPLE))

    def learn(self, click: Click) -> None:
        places = self._learnt[click.session]
        if click.item not in places:
            places[click.item] = len(places)
            self._having[click.item].append(click.session)
        self._at[click.session] = click.at
        self.see(click)

    def see(self, click: Click) -> None:
        self._sessions[click.session].append(click.item)

    def recommend(self, session: str, at: int) -> Sequence[str]:
        mine = list(OrderedDict.fromkeys(reversed(self._sessions[session])))  # the latest first
        weights = [exp(-back / self.BACK) for back in range(len(mine))]
        likeness: dict[str, float] = defaultdict(float)
        shared: dict[str, str] = {}
        for item, weight in zip(mine, weights, strict=True):
            for other in self._having.get(item, ()):
                likeness[other] += weight
                shared.setdefault(other, item)
        likeness.pop(session, None)
        for other in likeness:
            age = max(0, at - self._at[other])  # a file's own split may learn from what is later
            likeness[other] *= exp(-age / self.AGE_MS) / sqrt(len(mine) * len(self._learnt[other]))
        scores: dict[str, float] = defaultdict(float)
        for other in heapq.nlargest(self.NEIGHBOURS, likeness, key=likeness.__getitem__):
            places = self._learnt[other]
            here = places[shared[other]]
            for item, place in places.items():
                scores[item] += likeness[other] * exp(-abs(place - here) / self.APART)
        return heapq.nlargest(CUT, scores, key=scores.__getitem__)


BASELINES: dict[str, type[Model]] = {
    "popularity": Popular,
    "co_occurrence": CoOccurrence,
    "session_knn": SessionKNN,
    "stan": STAN,
}
