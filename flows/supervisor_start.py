"""Before workers start: make the topics, open every shard once, and find where the sources go on.

Whatever is wrong with a data folder, a topic or a wait is said here, by one process, in one message.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from config.settings import Settings
from flows import supervisor_edits
from flows import worker_doors as doors
from flows.catalog import Catalog
from flows.worker_place import OPENERS
from flows.worker_stops import stopped_flows
from operators.counts import parked_in
from state.files import write_whole
from state.identity import identify, keep_secret
from state.records import LogError, Reader, TopicPartition
from state.secret import load_or_make, told_of
from state.store import Resources, ShardStore
from state.store_errors import StoreDamaged

log = logging.getLogger("impuls.supervisor")


@dataclass(frozen=True)
class Plan:
    """Where sources start: the lowest watermark of all shards per partition, and the event time reached there."""

    starts: Mapping[TopicPartition, tuple[int, int]]
    origins: Mapping[TopicPartition, int]


def plan(settings: Settings, catalog: Catalog, reader: Reader) -> Plan:
    """Raises `StoreError`, `LogError` or `ParkedNowhere`, each with the way out."""
    partitions = doors.find_partitions(reader, (*doors.input_topics(settings), *doors.RESULTS))
    origins = _origins(settings, reader, partitions)
    resources = Resources.open(settings.data_dir, cache_mib=8)
    identify(settings.data_dir, settings.shards)
    keep_secret(settings.data_dir, told_of(load_or_make(settings.secret_file, settings.data_dir)))
    stopped_flows(settings.data_dir)
    starts: dict[TopicPartition, tuple[int, int]] = {}
    parked: dict[tuple[str, str], int] = {}

    def look(shard: int) -> tuple[Mapping[TopicPartition, tuple[int, int]], Mapping[tuple[str, str], int]]:
        store = ShardStore.open(settings.data_dir, shard, settings.shards, resources=resources)
        try:
            if store.lost_keys:
                log.error("keys lost", extra={"shard": shard, "fact": store.lost_keys})
                store.accept_keys()
            return store.watermarks(), parked_in(store)
        finally:
            store.close()

    look(0)  # the first one alone makes the folders
    with ThreadPoolExecutor(OPENERS) as openers:
        for marks, rests in openers.map(look, range(settings.shards)):
            for tp in partitions:
                offset, reached = marks.get(tp, (origins[tp], 0))
                low = starts.get(tp, (offset, reached))
                starts[tp] = min(low[0], offset), min(low[1], reached)
            for place, count in rests.items():
                parked[place] = parked.get(place, 0) + count
    supervisor_edits.check(catalog.program, parked, settings.data_dir)
    _check_positions(reader, {tp: offset for tp, (offset, _) in starts.items()})
    return Plan(starts, origins)


def _check_positions(reader: Reader, starts: Mapping[TopicPartition, int]) -> None:
    """Raises `LogError` where the log no longer has, or not yet, what the shards are to read next."""
    beginnings, ends = reader.beginnings(list(starts)), reader.ends(list(starts))
    lost = []
    for tp, offset in sorted(starts.items()):
        if offset < beginnings[tp]:
            lost.append(
                f"{tp.topic}/{tp.partition}: the shards have read up to {offset}, and the log now begins at "
                f"{beginnings[tp]}: {beginnings[tp] - offset} records were deleted unread"
            )
        elif offset > ends[tp]:
            lost.append(
                f"{tp.topic}/{tp.partition}: the shards have read up to {offset}, and the log ends at {ends[tp]}: "
                "it was shortened, made anew, or is another one"
            )
    if lost:
        raise LogError(
            "The log is not where the shards left it, and nothing is skipped by itself:\n  "
            + "\n  ".join(lost)
            + "\nEither put the log back from a backup (or point to the right one), or put back shards that fit it, or "
            "start anew: name an empty data_dir and choose [start] at."
        )


def _origins(settings: Settings, reader: Reader, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
    """Where each partition was begun, written down at the first start that saw it."""
    path = settings.data_dir / "origins.json"
    known = read_origins(path)
    new = [tp for tp in partitions if tp not in known]
    if not new:
        return known
    at = settings.start.at
    beginnings = reader.beginnings(new)
    if known or at == "earliest":
        found = beginnings  # a partition that was added since is read from its beginning
    elif at == "latest":
        found = reader.ends(new)
    else:
        found = reader.at_time(new, int(at))
        found |= {tp: beginnings[tp] for tp in new if tp.topic in doors.RESULTS}
    known = {**known, **found}
    rows = [[tp.topic, tp.partition, offset] for tp, offset in sorted(known.items())]
    write_whole(path, json.dumps(rows))
    return known


def read_origins(path: Path) -> dict[TopicPartition, int]:
    """Nothing where none were written yet.  Raises `StoreDamaged`."""
    try:
        rows = json.loads(path.read_text())
        return {TopicPartition(topic, partition): offset for topic, partition, offset in rows}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError):
        raise StoreDamaged(
            f"{path}: where the partitions began is not as it was written. Put the file back from a backup: without it "
            "nobody knows whether the shards have read all that came before."
        ) from None


def await_topics(settings: Settings, seconds: float = 30.0) -> None:
    """Make our topics; a broker that is still starting is waited for."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            doors.make_topics(settings)
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return
