"""The worker process: sources, shards and the publisher put together and run until told to stop.

Started by the supervisor, one per core; several form a Bytewax cluster on one private network.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from config.settings import Settings
from flows import huge_pages
from flows import worker_doors as doors
from flows.catalog import Catalog, load
from flows.published_models import FOLDER as MODELS
from flows.worker_place import OPENERS, Place, await_place, lowest_told
from flows.worker_process import METRICS_BEATS, Beat, WallClock, prepare, settings_for, told_by_supervisor
from flows.worker_rules import rules_of
from flows.worker_stops import stopped_flows
from operators import balance, dataflow
from operators.breaker import Breaker
from operators.comparison import Trials
from operators.engine import Engine
from operators.garbage import Garbage
from operators.host import Publisher, Stop
from operators.inputs import OURS
from operators.pressure import Pressure
from operators.program import choices
from operators.retention import Keep
from operators.shard import Shard, Surroundings
from operators.sources import LogSource, Router
from operators.tallies import together
from state.decode import Decoder
from state.ids import Ids
from state.records import LogError, Reader, TopicPartition
from state.secret import load_or_make
from state.store import Resources, ShardStore
from state.store_errors import StoreFull, StoreRefused

log = logging.getLogger("impuls.worker")
ENDS_BEATS, COMMIT_BEATS = 3, 5
DAY_MS = 86_400_000
FULL_PAUSE_SECONDS, FULL_TOLD_SECONDS = 0.2, 30.0
SET_BACK_SECONDS_MAX = 2.0


class Worker:
    def __init__(self, settings: Settings, catalog: Catalog, place: Place) -> None:
        self._settings, self._place = settings, place
        self._program, self._follow = catalog.program, catalog.follow
        self._trials = Trials(self._program)
        self._ids = Ids(load_or_make(settings.secret_file, settings.data_dir))
        self._power = settings.durability == "power"
        self._resources = Resources.open(
            settings.data_dir,
            cache_mib=settings.store.cache_mib,
            write_buffers_mib=settings.store.write_buffer_mib,
            keys_cached=settings.store.customers_cached,
            power=self._power,
        )
        self._shards: dict[int, Shard] = {}
        self._stores: dict[int, ShardStore] = {}  # opened beforehand
        self._stop = Stop()
        self._writer = doors.open_writer(settings)
        self._publisher = Publisher(self._writer, power=self._power)
        self._pressure = Pressure(lambda: self._others_hold)
        self._others_hold = False
        self._reader: Reader = doors.open_reader(settings, settings.kafka.group)
        self._source: LogSource | None = None
        self._breaker = Breaker()
        self._ends: dict[str, int] = {}
        self._full_told_at = 0.0
        self._stalled: list[TopicPartition] = []
        self._around = Surroundings(
            engine=Engine(
                self._program,
                rules_of(settings),
                self._ids,
                breaker=self._breaker,
                clock=settings.clock,
                links="log",
                recommends=settings.recommender.enabled,
            ),
            program=self._program,
            ids=self._ids,
            decoder=Decoder(settings.currency),
            wall=self._wall if choices(self._program.all) else time.time,
            on_full=self._on_full,
            clock=settings.clock,
            processes=place.processes,
            started_ms=round(time.time() * 1000),
            cache_customers=max(16, settings.store.customers_cached // settings.shards),
            publishes=True,
            keep=Keep(settings.store.retention_days * DAY_MS, settings.store.customer_retention_days * DAY_MS),
            origins={TopicPartition(topic, partition): offset for topic, partition, offset in place.origins},
            shards=settings.shards,
            words_first=True,
        )

    def run(self) -> None:
        """Run until asked to stop; then let what was read be written, and close everything."""
        flow = dataflow.build(
            self._open_source,
            self._open_shard,
            self._settings.shards,
            publisher=self._publisher,
            stop=self._stop,
            garbage=Garbage(),
        )
        self._breaker.ask(stopped_flows(self._settings.data_dir))
        if self._place.processes == 1:
            self._open_stores()
        threading.Thread(target=self._beat, name="beat", daemon=True).start()
        addresses = self._place.addresses if self._place.processes > 1 else None
        dataflow.run(flow, addresses, self._place.process)
        self._drain()

    def stop(self) -> None:
        self._stop.ask()

    def _wall(self) -> float:
        """Asked before every batch.  Shares that begin by then were written before, so from here on they are known."""
        now = time.time()
        self._follow()
        return now

    def _open_store(self, number: int) -> ShardStore:
        settings = self._settings
        return ShardStore.open(settings.data_dir, number, settings.shards, resources=self._resources)

    def _open_stores(self) -> None:
        """All of them side by side, where all are ours: the dataflow would open one after the other."""
        with ThreadPoolExecutor(OPENERS) as openers:
            self._stores.update(enumerate(openers.map(self._open_store, range(self._settings.shards))))

    def _open_shard(self, number: int) -> Shard:
        store = self._stores.pop(number, None) or self._open_store(number)
        shard = self._shards[number] = Shard(number, store, self._around)
        self._pressure.add(shard.held, shard.clock)
        return shard

    def _on_full(self, full: StoreFull) -> None:
        """Nothing can be taken in: wait for room, and read nothing meanwhile."""
        if self._stop.asked:
            raise full
        if time.monotonic() >= self._full_told_at:
            self._full_told_at = time.monotonic() + FULL_TOLD_SECONDS
            log.error("disk full", extra={"fact": str(full)})
        time.sleep(FULL_PAUSE_SECONDS)

    def _open_source(self, worker: int, workers: int) -> LogSource:
        starts = {
            TopicPartition(topic, partition): (offset, reached)
            for topic, partition, offset, reached in self._place.starts
        }
        mine = doors.share_of(starts, worker, workers)
        results = [tp for tp in mine if tp.topic in OURS]
        stalled = self._settings.stalled
        self._source = LogSource(
            self._reader,
            Router(self._ids, self._settings.shards),
            self._settings.shards,
            worker,
            {tp: starts[tp][0] for tp in mine},
            {tp: starts[tp][1] for tp in mine},
            self._reader.ends(results) if results else {},
            time.time,
            self._settings.clock,
            pressure=self._pressure,
            stalled_after=stalled.after_ms / 1000 if stalled.what == "release" else None,
            counts=Counter(tp.topic for tp in starts if tp.topic not in OURS),
            may_read=self._are_told,
        )
        return self._source

    def _are_told(self) -> bool:
        """Whether the shards of this process know that what was told to them has been read, by all processes."""
        return all(shard.clock.settled for shard in list(self._shards.values()))

    def _drain(self) -> None:
        """What was decided is in the outboxes; hand over what the log still takes, then close."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and (self._publisher.in_flight or self._publisher.has_backlog):
            self._publisher.turn()
            self._writer.wait(0.02)
        self._publisher.collect()
        for shard in self._shards.values():
            shard.write()
        self._tell()
        self._writer.close()
        self._reader.close()
        for store in (*(shard.store for shard in self._shards.values()), *self._stores.values()):
            store.close()
        self._resources.close()

    # -- what others may know

    def _beat(self) -> None:
        beat, clock = Beat(self._settings.data_dir, f"worker-{self._place.process}"), WallClock()
        for number in count():
            time.sleep(1.0)
            if (seconds := clock.set_back_by()) > SET_BACK_SECONDS_MAX:
                _start_anew(seconds)
            if self._stop.asked:
                return  # the last word is told when all is written
            if self._source is not None and number % ENDS_BEATS == 0:
                self._look_at_ends()
            beat.tell(self._status(), metrics=number % METRICS_BEATS == 0)
            if number % COMMIT_BEATS == 0:
                self._commit()
            self._look_at_sources()
            with suppress(StoreRefused):  # damaged meanwhile: what was stopped stays so, and the next start says it
                self._breaker.ask(stopped_flows(self._settings.data_dir))

    def _look_at_ends(self) -> None:
        assert self._source is not None
        try:
            ends = self._reader.ends([tp for tp in self._source.positions() if tp.topic not in OURS])
        except LogError as error:
            log.warning("ends unknown", extra={"error": str(error)})
        else:
            self._ends = {f"{tp.topic}/{tp.partition}": end for tp, end in ends.items()}

    def _look_at_sources(self) -> None:
        """What the workers must know of each other, and what an operator must know of the sources."""
        others = (n for n in range(self._place.processes) if n != self._place.process)
        told = [Beat(self._settings.data_dir, f"worker-{n}").read() or {} for n in others]
        self._others_hold = any(status.get("holds_all_it_may") for status in told)
        stalled = self._source.stalled() if self._source is not None else []
        if stalled != self._stalled:
            self._stalled = stalled
            names = [f"{tp.topic}/{tp.partition}" for tp in stalled]
            log.error(
                "waits end without a source" if stalled else "all sources are read again", extra={"left_out": names}
            )

    def _tell(self) -> None:
        """The last word: how far it came, and that it is no longer there."""
        Beat(self._settings.data_dir, f"worker-{self._place.process}").tell({**self._status(), "ready": False})
        self._commit()

    def _status(self) -> dict[str, Any]:
        shards, wall = list(self._shards.values()), round(time.time() * 1000)
        lowest: dict[str, int] = {}
        for shard in shards:
            for (topic, partition), offset in shard.watermarks().items():
                name = f"{topic}/{partition}"
                lowest[name] = min(offset, lowest.get(name, offset))
        parked: dict[str, int] = {}
        for shard in shards:
            for (flow, wait), customers in list(shard.residents.parked.items()):
                parked[f"{flow}/{wait}"] = parked.get(f"{flow}/{wait}", 0) + customers
        clocks = [shard.clock.now for shard in shards]
        tallies = together(shard.tallies.counts for shard in shards)
        return {
            "shards": len(shards),
            "watermarks": lowest,
            "ends": self._ends,
            "read": {
                f"{tp.topic}/{tp.partition}": offset
                for tp, offset in (self._source.positions() if self._source else {}).items()
            },
            "clock": min((clock for clock in clocks if clock is not None), default=None) if shards else None,
            "ready": bool(shards)
            and all(clock is not None for clock in clocks)
            and all(s.clock.settled for s in shards),
            "parked": parked,
            "experiments": balance.seen(self._program, tallies),
            "trials": self._trials.seen(tallies),
            "timers": sum(shard.residents.timers for shard in shards),
            "in_flight": self._publisher.in_flight,
            "outbox": sum(shard.outbox.count for shard in shards),
            "outbox_oldest_age_seconds": max((s.outbox.oldest_age_ms(wall) for s in shards), default=0) / 1000,
            "refused": self._publisher.refused,
            "news": sum(shard.fanout.count for shard in shards),
            "held": sum(shard.held.count for shard in shards),
            "holds_all_it_may": any(shard.held.is_full for shard in shards),
            "paused": self._source.paused() if self._source else 0,
            "stalled": [f"{tp.topic}/{tp.partition}" for tp in self._stalled],
            "last_fetch_age_seconds": self._reader.last_fetch_age_seconds(),
            "stopped_flows": sorted(self._breaker.stopped),
        }

    def _commit(self) -> None:
        """Let the log's own tools see how far all workers have come: the lowest watermark of all shards."""
        lowest = lowest_told(self._settings.data_dir, self._place.processes)
        if self._place.process == 0 and lowest:
            self._reader.commit(lowest)


def _start_anew(seconds: float) -> None:
    """Bytewax sleeps until moments of the wall clock: it would read nothing until that is there again.

    To end at any instant is safe, and the supervisor starts us anew.
    """
    log.error("clock set back", extra={"seconds": round(seconds, 1), "fact": "the worker is started anew"})
    os._exit(os.EX_TEMPFAIL)


def main() -> None:
    """`python -m flows.worker {"place": …}`: the supervisor's way to start one."""
    told = told_by_supervisor()
    settings = settings_for(told["config"])
    catalog = load(settings.flows, settings.data_dir / MODELS)
    place = await_place(Path(told["place"]))
    huge_pages.keep_ahead()
    worker = Worker(settings, catalog, place)
    prepare(f"worker-{place.process}", on_stop=worker.stop)
    log.info("started", extra={"worker": place.process, "workers": place.processes})
    worker.run()
    log.info("drained", extra={"worker": place.process})


if __name__ == "__main__":
    main()
