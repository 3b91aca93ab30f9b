"""The learner's part that learns from what was chosen among what was shown, and says who ranks."""

from __future__ import annotations

import logging
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from prometheus_client import Gauge

from flows import published_rerankings as published
from flows.published_models import FOLDER, ModelUnreadable
from operators.recommender.features import whole
from operators.recommender.impressions import Choice, Impressions
from operators.recommender.ranking import CHALLENGERS, CHAMPION, CONTEST, FORMAT, Standing, Weights, encode
from state.item_store import ItemStore

if TYPE_CHECKING:
    from operators.recommender.reranking import Reranking

log = logging.getLogger("impuls.learner")

NUMBER = Gauge("impuls_rerank_champion", "Number of the version that puts recommendations into order")
CHOICES = Gauge("impuls_rerank_choices", "Choices among what was shown that were judged and learnt from")
RECIPROCAL = Gauge("impuls_rerank_reciprocal_rank", "Reciprocal rank that each gave to what was chosen", ["ranker"])


class Rerank:
    """`Reranking` over the learner's store; what it learnt is saved with how far was read, by the learner."""

    def __init__(self, store: ItemStore, data_dir: Path) -> None:
        self._folder = data_dir / FOLDER
        self._begun = _read(store.note(CONTEST))
        self._impressions = Impressions(self._learn)
        self._wish_seen = self._published = 0
        self._is_loaded = self.changed = False
        self.show, self.take = self._impressions.show, self._impressions.take
        self.forget, self.join = self._impressions.forget, self._impressions.join

    @cached_property
    def _contest(self) -> Reranking:
        from operators.recommender.reranking import Reranking  # here, since River takes a second to import

        contest = Reranking(self._begun)
        contest.latest = max([contest.latest, *published.numbers(self._folder)])
        self._is_loaded = True
        return contest

    @property
    def standing(self) -> Standing:
        return self._contest.standing() if self._is_loaded else self._begun

    def heed(self) -> None:
        """What the shop wished since."""
        try:
            written = (self._folder / published.WISH).stat().st_mtime_ns
        except OSError:
            return
        if written == self._wish_seen:
            return
        self._wish_seen = written
        try:
            wished = published.wished(self._folder)
        except ModelUnreadable as error:
            log.warning("wish not read", extra={"fact": str(error)})
            return
        heard = self._contest.heard if self._is_loaded else self._begun.heard
        if wished is None or wished.asked == heard:
            return
        contest = self._contest
        champion = wished.champion or contest.champion
        if wished.fresh:
            champion = msgspec.structs.replace(champion, number=contest.latest + 1)
        contest.use(champion, held=wished.held)
        contest.heard, self.changed = wished.asked, True
        log.info("ranks by the word of the shop", extra={"number": champion.number, "held": wished.held})

    def to_save(self) -> dict[str, bytes]:
        """Notes; a champion that is new is published before, so that each that ever ranked is there."""
        if not self.changed:
            return {}
        standing = self.standing
        self._publish(standing.champion)
        return {CONTEST: encode(standing), CHAMPION: encode(standing.champion)}

    def saved(self) -> None:
        self.changed = False

    def tell(self) -> None:
        standing = self.standing
        NUMBER.set(standing.champion.number)
        CHOICES.set(max((each.choices for each in standing.challengers), default=0))
        RECIPROCAL.labels("champion").set(standing.reciprocal)
        for name, score in zip(CHALLENGERS, standing.scores, strict=False):
            RECIPROCAL.labels(name).set(score.reciprocal)

    def _learn(self, choice: Choice) -> None:
        before = self._contest.champion
        self._contest.learn([whole(one) for one in choice.shown], choice.chosen, choice.passed, judge=choice.first)
        self.changed = True
        if self._contest.champion != before:
            log.info("another ranks by evidence", extra={"number": self._contest.champion.number})

    def _publish(self, champion: Weights) -> None:
        if champion.number and champion.number != self._published:
            self._published = champion.number
            published.publish(self._folder, champion)


def _read(stored: bytes | None) -> Standing:
    """What cannot be read is as if it had not been written: it is learnt anew from here on."""
    if stored is None:
        return Standing()
    try:
        standing = msgspec.json.decode(stored, type=Standing)
    except msgspec.MsgspecError as error:
        log.warning("contest not read", extra={"fact": str(error)})
        return Standing()
    if standing.champion.format > FORMAT:
        log.warning("contest not read", extra={"fact": f"the champion's format {standing.champion.format} is newer"})
        return Standing()
    if standing.champion.format < FORMAT:
        log.info("contest begun anew", extra={"fact": f"format {standing.champion.format} weighed other things"})
        return Standing(latest=standing.latest, held=standing.held, heard=standing.heard)
    return standing
