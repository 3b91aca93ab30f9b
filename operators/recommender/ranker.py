"""The recommender as River knows rankers, so that its metrics, pipelines and pickles apply.

`learn_one(user, item, y, x)`: `y` is what the event counts (`WEIGHTS`; 1 for a view), `x` may hold `at`, its time in
ms, and `category`.  Visitors are kept here, the latest ones only; who keeps them elsewhere works with
`model.CoVisitation` and `visits.Visit`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from river.reco.base import Ranker

from operators.recommender.choosing import best
from operators.recommender.features import Features, measured, whole
from operators.recommender.model import CoVisitation
from operators.recommender.store import Rows
from operators.recommender.visits import Visit

VISITORS_MAX = 100_000
WEIGHTS = {"view": 1.0, "cart": 3.0, "order": 5.0}
_NOTHING: Mapping[str, Any] = {}


class CoVisits(Ranker):
    """Decayed sequential co-visitation; bounded, however many visitors there are, and products, where `rows` is."""

    def __init__(self, visitors_max: int = VISITORS_MAX, seed: int | None = None, rows: Rows | None = None) -> None:
        super().__init__(seed)
        self.visitors_max = visitors_max
        self.rows = rows
        self.model = CoVisitation(rows)
        self._visits: OrderedDict[Hashable, Visit] = OrderedDict()
        self._at = 0

    def learn_one(self, user: Hashable, item: Hashable, y: Any = 1.0, x: Mapping[str, Any] | None = None) -> None:
        x = x or _NOTHING
        at = self._at = x.get("at", self._at)
        self.model.learn(self._visit(user), str(item), at, float(y), x.get("category", ""))

    def see_one(self, user: Hashable, item: Hashable, y: Any = 1.0, x: Mapping[str, Any] | None = None) -> None:
        """She came to this item, and nobody is to learn from it."""
        at = self._at = (x or _NOTHING).get("at", self._at)
        self._visit(user).see(str(item), at, float(y))

    def predict_one(self, user: Hashable, item: Hashable, x: Mapping[str, Any] | None = None) -> Any:
        return self._scores(user, x).get(str(item), 0.0)

    def recommend(self, user: Hashable, limit: int = 20, x: Mapping[str, Any] | None = None) -> list[tuple[str, float]]:
        """The likeliest next items with their scores, best first, those she knows included."""
        return best(self._scores(user, x), limit)

    def describe(
        self, user: Hashable, ranked: Sequence[tuple[str, float]], x: Mapping[str, Any] | None = None
    ) -> list[Features]:
        """Of candidates with their scores, as `recommend` gives them, what a re-ranking weighs."""
        at = (x or _NOTHING).get("at", self._at)
        return [whole(one) for one in measured(self.model, self._visits.get(user) or Visit(), ranked, at)]

    def rank(self, user: Hashable, items: Iterable[Hashable], x: Mapping[str, Any] | None = None) -> list[Hashable]:
        """These items, best first; equal ones by name, so that the order is the same each time."""
        scores = self._scores(user, x)
        return sorted(items, key=lambda item: (-scores.get(str(item), 0.0), str(item)))

    def _scores(self, user: Hashable, x: Mapping[str, Any] | None) -> dict[str, float]:
        visit = self._visits.get(user) or Visit()
        return self.model.scores(self.model.guesses(visit, (x or _NOTHING).get("at", self._at)))

    def _visit(self, user: Hashable) -> Visit:
        visit = self._visits.get(user)
        if visit is None:
            visit = self._visits[user] = Visit()
            if len(self._visits) > self.visitors_max:
                self._visits.popitem(last=False)
        else:
            self._visits.move_to_end(user)
        return visit
