"""Replaying files of events: the same dataflow on the replay clock, in a store of its own."""

from __future__ import annotations

import heapq
import json
import multiprocessing
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from config.settings import Settings
from flows import worker_doors as doors
from flows.catalog import load
from flows.worker_place import free_addresses
from flows.worker_process import spare_the_collector
from flows.worker_rules import rules_of
from operators import dataflow
from operators.breaker import NeverStops
from operators.engine import Engine
from operators.exchange import Exchange, poster
from operators.files import FileFault, FileSource
from operators.host import Stop
from operators.shard import Shard, Surroundings
from operators.sources import Router
from state import dead_letters, decisions, identity, passing
from state.decode import Decoder
from state.ids import Ids
from state.secret import load_or_make
from state.store_errors import StoreFull

CONSTANT_SECRET = b"impuls replay without a secret of its own"
NOTE = "replay.json"
_FAULT = "fault"
RUN_LINES_MAX = 100_000
BATCH_SIZE = 5_000
SHARDS_A_WORKER = 8  # their stores live for a moment, and what is decided does not depend on the number


@dataclass(frozen=True)
class Replay:
    """What to replay, and how.  `play_out` in milliseconds; `secret` keys ids and experiment arms."""

    files: tuple[Path, ...]
    out: Path
    settings: Settings
    secret: bytes
    play_out: int = 0
    workers: int = 1
    batch_size: int = BATCH_SIZE
    shards_a_worker: int = SHARDS_A_WORKER
    models: Path | None = None  # the folder whose newest model flows ask; without one they ask none
    sends: bool = False  # hand the messages to the configured log, for its couriers

    @property
    def shards(self) -> int:
        return self.shards_a_worker * self.workers


@dataclass(frozen=True)
class Played:
    """What a replay came to."""

    events: int
    decisions: int
    dead_letters: int


def secret_for(settings: Settings) -> bytes:
    """The deployment's secret where there is one, else a constant one: none is made for a replay."""
    there = settings.secret_file.exists() or identity.secret_of(settings.data_dir)
    return load_or_make(settings.secret_file, settings.data_dir) if there else CONSTANT_SECRET


def replay(plan: Replay, progress: Callable[[int], None] | None = None) -> Played:
    """Replay files into `plan.out`, replacing what is there: `decisions.jsonl`, `dead-letters.jsonl`, `replay.json`.

    Raises `FileFault`; what is there stays then.
    """
    parts = plan.out / ".parts"
    for stale in (parts, plan.out / ".store"):
        shutil.rmtree(stale, ignore_errors=True)
    parts.mkdir(parents=True)
    if plan.sends:
        doors.make_topics(plan.settings)
    try:
        if plan.workers == 1:
            _work(plan, 0, None, progress)
        else:
            _cluster(plan)
        decided = _merge(parts.glob("decisions-*"), plan.out / "decisions.jsonl")
        letters = _merge(parts.glob("dead-letters-*"), plan.out / "dead-letters.jsonl")
        events = sum(int(count.read_text()) for count in parts.glob("count-*"))
    finally:
        shutil.rmtree(parts, ignore_errors=True)
        shutil.rmtree(plan.out / ".store", ignore_errors=True)
    _note(plan)
    return Played(events, decided, letters)


def _note(plan: Replay) -> None:
    """Write down what the decisions were made of, for who reports on them: `replay.json`."""
    told = {
        "files": [str(path.resolve()) for path in plan.files],
        "flows": plan.settings.flows,
        "currency": plan.settings.currency,
        "holdout_percent": plan.settings.guards.holdout_percent,
    }
    (plan.out / NOTE).write_text(json.dumps(told) + "\n")


def _work(
    plan: Replay,
    process: int,
    addresses: list[str] | None,
    progress: Callable[[int], None] | None = None,
    pipes: Sequence[Connection] = (),
) -> None:
    """One worker.  `pipes` are the source's ends of all others' where it is the first, else its own one."""
    settings, catalog, ids = plan.settings, load(plan.settings.flows, plan.models), Ids(plan.secret)
    resources = passing.resources(plan.out / ".store" / f"{process}", settings.store.cache_mib)
    engine = Engine(
        catalog.program,
        rules_of(settings),
        ids,
        breaker=NeverStops(),
        clock="replay",
        sends=plan.sends,
        links="marks",
    )
    exchange = Exchange(plan.shards, pipes) if process == 0 else None
    post = exchange.post if exchange is not None else poster(pipes[0])
    around = Surroundings(
        engine=engine,
        program=catalog.program,
        ids=ids,
        decoder=Decoder(settings.currency),
        wall=time.time,
        on_full=_give_up,
        clock="replay",
        processes=1,  # the first worker alone reads, and tells the time
        started_ms=round(time.time() * 1000),
        cache_customers=max(16, settings.store.customers_cached // plan.shards),
        publishes=False,
        shards=plan.shards,
    )
    writer = doors.open_writer(settings) if plan.sends else None
    decided = SortedRuns(plan.out / ".parts", f"decisions-{process}")
    letters = SortedRuns(plan.out / ".parts", f"dead-letters-{process}")
    shards: list[Shard] = []
    sources: list[FileSource] = []

    def open_shard(number: int) -> Shard:
        shards.append(Shard(number, passing.PassingStore.make(number, resources), around))
        return shards[-1]

    def open_source(worker: int, _: int) -> FileSource:
        router = Router(ids, plan.shards)
        sources.append(
            FileSource(
                plan.files,
                router,
                plan.shards,
                started_ms=around.started_ms,
                first=worker == 0,
                batch_size=plan.batch_size,
                play_out=plan.play_out,
                exchange=exchange,
            )
        )
        return sources[-1]

    def on_decided(shard: Shard) -> None:
        for decision in shard.made:
            decided.add(f"{decision.at} {decision.decision_id}", decisions.to_json(decision))
        for letter in shard.letters:
            place = f"{letter.topic} {letter.partition:09} {letter.offset:015} {letter.id}"
            letters.add(place, dead_letters.to_json(letter))
        for message in shard.messages:
            key, value = message.customer.encode(), msgspec.json.encode(message)
            while writer is not None and not writer.send("messages", key, value):
                time.sleep(0.005)
        shard.messages.clear()
        shard.made.clear()
        shard.letters.clear()
        if (spoken := shard.crossing.spoken()) is not None:
            post(shard.number, *spoken)
        if progress is not None and sources:
            progress(sources[0].read)

    spare_the_collector(bite=50_000)  # nobody waits for a single event
    stop = Stop()
    flow = dataflow.build(open_source, open_shard, plan.shards, publisher=None, stop=stop, on_decided=on_decided)
    with _interrupted_by(stop) if addresses is None else nullcontext():
        dataflow.run(flow, addresses, process)
    if writer is not None:
        writer.flush(60)
        writer.close()
    decided.close()
    letters.close()
    for shard in shards:
        shard.store.close()
    resources.close()
    for source in sources:
        if source.fault is not None:
            raise source.fault
    (plan.out / ".parts" / f"count-{process}").write_text(str(sum(source.read for source in sources)))


@contextmanager
def _interrupted_by(stop: Stop) -> Iterator[None]:
    """Let Ctrl-C end the reading, and be raised after that: raised inside of Bytewax it would be a panic."""

    def interrupted(*_: object) -> None:
        stop.ask()
        signal.signal(signal.SIGINT, before)  # who does not want to wait for the next line presses again

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if stop.asked:
        raise KeyboardInterrupt


def _give_up(full: StoreFull) -> None:
    raise full


def _work_in_cluster(plan: Replay, process: int, addresses: list[str], pipes: Sequence[Connection]) -> None:
    """One worker in a process of its own, which leaves a file's fault to the one that started it."""
    try:
        _work(plan, process, addresses, None, pipes)
    except FileFault as fault:
        (plan.out / ".parts" / _FAULT).write_text(str(fault))
        sys.exit(2)


def _cluster(plan: Replay) -> None:
    addresses = free_addresses(plan.workers)
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe(duplex=False) for _ in range(1, plan.workers)]
    ends = [[source for source, _ in pipes], *([shards] for _, shards in pipes)]
    workers = [
        context.Process(target=_work_in_cluster, args=(plan, n, addresses, ends[n])) for n in range(plan.workers)
    ]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # theirs, too: this process tells them
    for worker in workers:
        worker.start()
    signal.signal(signal.SIGINT, before)
    try:
        for worker in workers:
            worker.join()
    except KeyboardInterrupt:
        for worker in workers:
            worker.terminate()
            worker.join()
        raise
    fault = plan.out / ".parts" / _FAULT
    if fault.exists():
        raise FileFault(fault.read_text())
    if any(worker.exitcode for worker in workers):
        raise RuntimeError("a replay worker failed; what it said is above. Nothing was written.")


class SortedRuns:
    """Lines with sort keys, kept as sorted files of bounded length."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._lines: list[bytes] = []
        self._runs = 0

    def add(self, key: str, line: bytes) -> None:
        self._lines.append(b"%s\t%s\n" % (key.encode(), line))
        if len(self._lines) >= RUN_LINES_MAX:
            self.close()

    def close(self) -> None:
        self._lines.sort()
        with (self._folder / f"{self._name}-{self._runs}").open("wb") as out:
            out.writelines(self._lines)
        self._lines.clear()
        self._runs += 1


def _merge(runs: Iterable[Path], to: Path) -> int:
    """One sorted file of all runs, without their keys; how many lines."""
    count = 0
    fresh = to.with_name(f".{to.name}")
    with ExitStack() as stack, fresh.open("wb") as out:
        opened: Sequence[Iterator[bytes]] = [stack.enter_context(run.open("rb")) for run in sorted(runs)]
        for line in heapq.merge(*opened):  # a tab sorts before all that a key is made of
            out.write(line.partition(b"\t")[2])
            count += 1
    fresh.rename(to)
    return count
