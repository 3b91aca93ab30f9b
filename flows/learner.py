"""The learner: a process that reads the same topics as the workers and teaches the recommender with every event.

Apart from the workers, so that no decision waits for it; see docs/decisions.  How far it has read stands in the same
write as what it learnt, so a kill loses nothing but the visits under way, which it looks up in the log again.
"""

from __future__ import annotations

import logging
import time
from itertools import count, cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from config.settings import Settings
from flows import worker_doors as doors
from flows.learner_propensity import Foretelling
from flows.learner_reranking import Rerank
from flows.worker_process import METRICS_BEATS, Beat, prepare, settings_for, told_by_supervisor
from operators.host import Stop
from operators.recommender.journal import KEPT
from operators.recommender.learning import Learning
from operators.recommender.lessons import Lessons
from state.claims import CLAIMS, is_nobody, named
from state.decode import Decoder, Rejected
from state.events import Event
from state.ids import Ids
from state.item_store import ItemStore
from state.recommendations import TOPIC
from state.records import LogError, Record, TopicPartition
from state.rocks import Memory
from state.secret import load_or_make
from state.store_errors import StoreError

log = logging.getLogger("impuls.learner")

RECORDS_MAX = 1_000
SAVE_SECONDS = 1.0
PAUSE_SECONDS = 0.05  # what it learns is seen once it is saved, and a few large turns cost less than many small ones
VISIT_MS = 30 * 60_000
LOOK_BACK_RECORDS_MAX = 50_000
DISCOVER_SECONDS = 10.0
BEAT_SECONDS = 1.0
ERASE_SECONDS = 2.0  # between two shards that are asked whose keys were destroyed
SAVED_AT = "saved_at"


class Learner:
    """Reads, learns, and saves once a second.  Single-threaded; `run` returns once asked to stop."""

    def __init__(self, settings: Settings, stop: Stop) -> None:
        self._settings, self._stop = settings, stop
        self._ids, self._decoder = (
            Ids(load_or_make(settings.secret_file, settings.data_dir)),
            Decoder(settings.currency),
        )
        self._store = ItemStore.open(settings.data_dir, Memory(settings.recommender.cache_mib, 32))
        self._learning = Learning(self._store)
        self._lessons = Lessons(self._learning.model, self._learning.shelf)
        self._foretelling = Foretelling(self._store, settings.data_dir, settings.currency)
        self._rerank = Rerank(self._store, settings.data_dir)
        self._reader = doors.open_reader(settings, f"{settings.kafka.group}-learner")
        self._learnt_to = self._store.watermarks()
        self._positions: dict[TopicPartition, int] = {}
        self._idle = 0  # saves since the last that had something to save
        self._save_at = self._discover_at = self._beat_at = self._erase_at = 0.0
        self._shards = cycle(range(settings.shards))
        self._beats = count()
        self._beat = Beat(settings.data_dir, "learner")
        self._started_ms = round(time.time() * 1000)

    def run(self) -> None:
        self._discover()
        self._look_back()
        while not self._stop.asked:
            found = self._turn()
            if not found:
                self._reader.wait(max(0.0, min(self._save_at, self._beat_at) - time.monotonic()))
            if found < RECORDS_MAX:
                time.sleep(PAUSE_SECONDS)
        self._save(whole=True)
        self._tell(last=True)
        self._reader.close()
        self._store.close()

    def _turn(self) -> int:
        """Learn from what there is.  From how many records."""
        found = 0
        # What was shown first, since what came of it may have been fetched with it.
        for fetched in sorted(self._reader.poll(RECORDS_MAX), key=lambda each: each.topic != TOPIC):
            tp = TopicPartition(fetched.topic, fetched.partition)
            for record in fetched.records:
                self._learn(tp, record)
            found += len(fetched.records)
            self._positions[tp] = max(self._positions[tp], fetched.end)
        now = time.monotonic()
        if now >= self._save_at:
            self._save()
            self._save_at = time.monotonic() + SAVE_SECONDS
        if now >= self._beat_at:
            self._tell()
            self._beat_at = now + BEAT_SECONDS
        if now >= self._erase_at:
            self._erase()
            self._erase_at = time.monotonic() + ERASE_SECONDS
        if now >= self._discover_at:
            self._discover()
        return found

    def _learn(self, tp: TopicPartition, record: Record) -> None:
        new = record.offset >= self._learnt_to.get(tp, 0)
        if tp.topic == TOPIC:
            if record.key:
                who = self._foretelling.whose(self._ids.customer(record.key))
                self._rerank.show(who, record.value, new=new)
            return
        event = self._decoder.decode(
            record.value,
            key=record.key,
            topic=tp.topic,
            partition=tp.partition,
            offset=record.offset,
            now=self._started_ms if self._settings.clock == "replay" else round(time.time() * 1000),
            clock=self._settings.clock,
        )
        if isinstance(event, Rejected):
            return  # the workers set it aside and say so
        who = self._ids.customer(event.customer.encode())
        if new and type(event) in CLAIMS:
            self._become(who, event)
        who = self._foretelling.whose(who)
        self._lessons.take(who, event, learn=new)
        self._rerank.take(who, event, new=new)
        if new:
            self._foretelling.take(tp, who, event)

    def _become(self, who: bytes, event: Event) -> None:
        """Where she says who she is, what she did before was hers."""
        anonymous = named(event)
        if anonymous and not is_nobody(anonymous) and not is_nobody(event.customer):
            was = self._ids.customer(anonymous.encode())
            if self._foretelling.become(who, was, event.at):
                self._lessons.join(who, was)
                self._rerank.join(who, was)

    def _erase(self) -> None:
        """Whose key was destroyed in her shard, of her nothing is to be left here either."""
        with TemporaryDirectory(prefix="impuls-erase-") as scratch:
            try:
                erased = self._store.erase_with(next(self._shards), Path(scratch))
            except StoreError as error:
                log.warning("keys not read", extra={"fact": str(error)})
                return
        for who in erased:
            self._foretelling.forget(who)
            self._lessons.forget(who)
            self._rerank.forget(who)

    # -- where it stands

    def _discover(self) -> None:
        """Read every partition of the inputs, from where it was learnt to; new ones from their beginning.

        And of what was shown, which is there once a worker has started.
        """
        self._discover_at = time.monotonic() + DISCOVER_SECONDS
        try:
            there = doors.find_partitions(self._reader, doors.input_topics(self._settings))
            there += [TopicPartition(TOPIC, partition) for partition in self._reader.partitions(TOPIC)]
            added = [tp for tp in there if tp not in self._positions]
            if added:
                beginnings = self._reader.beginnings(added)
                for tp in added:
                    learnt_to = self._learnt_to.get(tp, 0)
                    if learnt_to < beginnings[tp] and tp in self._learnt_to:
                        fact = f"{beginnings[tp] - learnt_to} records were deleted before they were learnt from"
                        log.warning(
                            "records missed", extra={"topic": tp.topic, "partition": tp.partition, "fact": fact}
                        )
                    self._positions[tp] = max(learnt_to, beginnings[tp])
                self._reader.assign(self._positions)
        except LogError as error:
            log.warning("partitions unknown", extra={"fact": str(error)})

    def _look_back(self) -> None:
        """Go back by the length of a visit: what was learnt is not learnt again, but who looked at what is known.

        And what she was shown, where all that she did since is read again, too: or it could be taken for new.
        """
        saved = self._store.note(SAVED_AT)
        if saved is None or not self._positions:
            return
        since = msgspec.msgpack.decode(saved, type=int) - VISIT_MS
        back = self._reader.at_time(list(self._positions), since)
        most = LOOK_BACK_RECORDS_MAX // len(self._positions)
        is_cut = any(back[tp] < offset - most for tp, offset in self._positions.items() if tp.topic != TOPIC)
        self._positions = {
            tp: offset if is_cut and tp.topic == TOPIC else min(offset, max(back[tp], offset - most))
            for tp, offset in self._positions.items()
        }
        self._reader.assign(self._positions)

    def _save(self, *, whole: bool = False) -> None:
        """What was learnt since the last time; `whole`: every row that changed is written, too."""
        moved = {tp: offset for tp, offset in self._positions.items() if offset > self._learnt_to.get(tp, -1)}
        self._rerank.heed()
        self._idle = 0 if moved else self._idle + 1
        whole = whole or self._idle > KEPT  # so that nothing of what was done last stays for longer in the journal
        if not moved and not self._rerank.changed and (self._learning.is_settled or not whole):
            return
        self._foretelling.pass_time()
        foretold, visitors = self._foretelling.to_save()
        saved_at = msgspec.msgpack.encode(round(time.time() * 1000))
        notes = foretold | self._rerank.to_save() | {SAVED_AT: saved_at}
        self._learning.save(notes, moved, visitors, whole=whole)
        self._foretelling.saved()
        self._rerank.saved()
        self._learnt_to |= moved
        self._reader.commit(self._learnt_to)

    def _tell(self, *, last: bool = False) -> None:
        self._foretelling.tell()
        self._rerank.tell()
        status = {
            "learnt": self._lessons.learnt,
            "read": {f"{tp.topic}/{tp.partition}": offset for tp, offset in self._positions.items()},
            "last_fetch_age_seconds": self._reader.last_fetch_age_seconds(),
            "ready": not last,
        }
        self._beat.tell(status, metrics=last or next(self._beats) % METRICS_BEATS == 0)


def main() -> None:
    """`python -m flows.learner {"config": …}`: the supervisor's way to start it."""
    told = told_by_supervisor()
    stop = Stop()
    prepare("learner", on_stop=stop.ask)
    log.info("started")
    Learner(settings_for(told["config"]), stop).run()
    log.info("drained")


if __name__ == "__main__":
    main()
