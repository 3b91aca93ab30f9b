"""The recommender as River knows rankers, so that its metrics, pipelines and pickles apply.

`learn_one(user, item, y, x)`: `y` is what the event counts (`WEIGHTS`), `x["at"]` its time in ms.  Visitors are kept
here, the latest ones only; who keeps them elsewhere works with `model.CoVisitation` and `visits.Visit`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from river.reco.base import Ranker

from operators.recommender.model import CoVisitation
from operators.recommender.store import Rows
from operators.recommender.visits import Visit

VISITORS_MAX = 100_000
WEIGHTS = {"view": 1.0, "cart": 3.0, "order": 5.0}


class CoVisits(Ranker):
    """Decayed sequential co-visitation; bounded, however many products and visitors there are."""

    def __init__(self, visitors_max: int = VISITORS_MAX, seed: int | None = None, rows: Rows | None = None) -> None:
        super().__init__(seed)
        self.visitors_max = visitors_max
        self.rows = rows
        self.model = CoVisitation(rows)
        self._visits: OrderedDict[Hashable, Visit] = OrderedDict()

    def learn_one(self, user: Hashable, item: Hashable, y: Any = 1.0, x: Mapping[str, Any] | None = None) -> None:
        visit = self._visit(user)
        self.model.learn(visit, str(item), x["at"] if x else 0, float(y))
        visit.see(str(item))

    def see_one(self, user: Hashable, item: Hashable) -> None:
        """She was there, and nobody is to learn from it."""
        self._visit(user).see(str(item))

    def predict_one(self, user: Hashable, item: Hashable, x: Mapping[str, Any] | None = None) -> Any:
        return self.model.score(self._visits.get(user) or Visit(), str(item))

    def recommend(self, user: Hashable, limit: int = 20) -> list[tuple[str, float]]:
        return self.model.recommend(self._visits.get(user) or Visit(), limit)

    def rank(self, user: Hashable, items: Iterable[Hashable], x: Mapping[str, Any] | None = None) -> list[Hashable]:
        """The same, in an order that is the same each time: equal ones by name."""
        scores = {item: self.predict_one(user, item, x) for item in items}
        return sorted(scores, key=lambda item: (-scores[item], str(item)))

    def _visit(self, user: Hashable) -> Visit:
        visit = self._visits.get(user)
        if visit is None:
            visit = self._visits[user] = Visit()
            if len(self._visits) > self.visitors_max:
                self._visits.popitem(last=False)
        else:
            self._visits.move_to_end(user)
        return visit
