"""The learner's part that foretells who will buy and who will stay away, and publishes what it has learnt."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import msgspec
from prometheus_client import Gauge

from flows.published_models import FOLDER, publish
from operators.propensity.habits import HOUR_MS
from operators.propensity.lessons import Lessons, Notes
from state.events import Event
from state.item_store import ItemStore
from state.records import TopicPartition

log = logging.getLogger("impuls.learner")

NOTE = "propensity"
SLACK_MS = HOUR_MS  # topics are read side by side, and none exactly as far as another
RECENT_SECONDS = 5.0  # a partition that gave nothing for so long holds nobody up
LOSS = Gauge("impuls_propensity_loss", "Log loss of what was foretold, fading", ["target"])
ANSWERS = Gauge("impuls_propensity_answers", "Answers that were learnt from", ["target"])
DRIFTS = Gauge("impuls_propensity_drifts", "How often the error of what was foretold grew", ["target"])
MODEL = Gauge("impuls_propensity_model", "Number of the model published last")

_encode = msgspec.msgpack.Encoder().encode


class Foretelling:
    """`Lessons` over the learner's store; what it has learnt is saved with how far was read, by the learner."""

    def __init__(self, store: ItemStore, data_dir: Path, currency: str) -> None:
        self._models = data_dir / FOLDER
        stored = store.note(NOTE)
        self._lessons = Lessons(currency, _read(stored))
        if stored is not None:
            for who, visitor in store.visitors():
                self._lessons.visitors.restore(who, visitor)
        self._reached: dict[TopicPartition, tuple[int, float]] = {}

    def take(self, tp: TopicPartition, who: bytes, event: Event) -> None:
        self._lessons.take(who, event)
        before = self._reached.get(tp, (0, 0.0))[0]
        self._reached[tp] = max(before, event.at), time.monotonic()

    def forget(self, who: bytes) -> None:
        self._lessons.visitors.forget(who)

    def whose(self, who: bytes) -> bytes:
        return self._lessons.visitors.whose(who)

    def become(self, who: bytes, was: bytes, at: int) -> bool:
        """She says that this visitor was she all along; whether that is heard."""
        return self._lessons.become(who, was, at)

    def pass_time(self) -> None:
        """Event time has passed as far as every topic was read that still gives something."""
        since = time.monotonic() - RECENT_SECONDS
        reached = [at for at, heard in self._reached.values() if heard >= since]
        if reached:
            self._lessons.pass_time(min(reached) - SLACK_MS)

    def to_save(self) -> tuple[dict[str, bytes], dict[bytes, bytes | None]]:
        """Notes and visitors; publishes before, where there is something better."""
        contest = self._lessons.contest
        if contest.is_decided():
            published = publish(self._models, contest.publish(self._lessons.forecasts()))
            contest.standing.champion = published
            log.info("model published", extra={"number": published.number, "at": published.at})
        return {NOTE: _encode(self._lessons.notes())}, self._lessons.visitors.to_save()

    def saved(self) -> None:
        self._lessons.visitors.saved()

    def tell(self) -> None:
        standing = self._lessons.contest.standing
        MODEL.set(standing.champion.number)
        for target, score in (("buys", standing.buys), ("stays_away", standing.stays_away)):
            LOSS.labels(target).set(score.loss)
            ANSWERS.labels(target).set(score.outcomes)
            DRIFTS.labels(target).set(score.drifts)


def _read(stored: bytes | None) -> Notes | None:
    """What cannot be read is as if it had not been written: it is learnt anew from here on."""
    if stored is None:
        return None
    try:
        return msgspec.msgpack.decode(stored, type=Notes)
    except msgspec.MsgspecError as error:
        log.warning("propensities not read", extra={"fact": str(error)})
        return None
