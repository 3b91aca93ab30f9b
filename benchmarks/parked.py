"""Customers at rest: so many carts that were just filled, each with its reminder an hour away.

Written by the real shards into the real stores, one process per core with its own share of the shards; the worker
that is then measured opens what they wrote like after any restart.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks.children import side_by_side
from config.settings import Settings
from flows.catalog import load
from flows.worker_process import spare_the_collector
from flows.worker_rules import rules_of
from operators.breaker import Breaker
from operators.engine import Engine
from operators.inputs import SubBatch
from operators.shard import Shard, Surroundings
from state.decode import Decoder
from state.ids import Ids, shard_of
from state.instants import format_instant
from state.records import Record
from state.secret import load_or_make
from state.store import Resources, ShardStore
from state.store_errors import StoreFull

TOPIC = "parked"  # no topic of the deployment: its offsets are nobody's to read on from
BATCH = 2_000
PROCESSES = 2
DESCRIBED = ',"category":"shoes","image_url":"https://images.shop.example/' + "0123456789abcdef" * 14 + '.jpg"'


@dataclass(frozen=True)
class Crowd:
    """`customers` have a cart each; of the first `known` of them the shop has an address."""

    customers: int
    known: int
    at: int  # when the carts were filled, milliseconds
    described: bool = False  # with all that a shop knows of a product, so that a customer takes more room


def name(number: int) -> str:
    return f"v{number}"


def park(settings: Settings, crowd: Crowd) -> float:
    """Fill a fresh data folder; how many seconds it took."""
    began = time.perf_counter()
    load_or_make(settings.secret_file)
    resources = Resources.open(settings.data_dir)
    ShardStore.open(settings.data_dir, 0, settings.shards, resources=resources).close()
    side_by_side(partial(_park_share, settings, crowd), range(PROCESSES))
    return time.perf_counter() - began


def _park_share(settings: Settings, crowd: Crowd, process: int) -> None:
    ids = Ids(load_or_make(settings.secret_file))
    shares: dict[int, list[int]] = {shard: [] for shard in range(process, settings.shards, PROCESSES)}
    for number in range(crowd.customers):
        lives_in = shard_of(ids.customer(name(number).encode()), settings.shards)
        if lives_in in shares:
            shares[lives_in].append(number)
    around = _surroundings(settings, ids)
    resources = Resources.open(settings.data_dir, cache_mib=16)
    spare_the_collector()
    for place, customers in shares.items():
        store = ShardStore.open(settings.data_dir, place, settings.shards, resources=resources)
        shard = Shard(place, store, around)
        records = list(_records(customers, crowd))
        for start in range(0, len(records), BATCH):
            some = records[start : start + BATCH]
            shard.take([SubBatch(TOPIC, 0, start, start + len(some), some, crowd.at)])
        assert sum(shard.residents.parked.values()) == len(customers)
        store.close()


def _records(customers: list[int], crowd: Crowd) -> Iterator[Record]:
    offset = 0
    when = format_instant(crowd.at)
    more = DESCRIBED if crowd.described else ""
    for number in customers:
        who = name(number)
        bodies = [
            '"type":"track","event":"Product Added","properties":{"product_id":"p7","name":"Trail running shoes",'
            f'"price":89.99,"currency":"PLN","quantity":1,"cart_id":"k{number}","url":"https://shop.example/p7"{more}}}'
        ]
        if number < crowd.known:
            bodies.append(f'"type":"identify","traits":{{"email":"{who}@example.invalid","firstName":"Ola"}}')
        for n, body in enumerate(bodies):
            value = f'{{{body},"messageId":"park-{n}","userId":"{who}","timestamp":"{when}"}}'
            yield Record(offset, who.encode(), value.encode(), crowd.at)
            offset += 1


def _surroundings(settings: Settings, ids: Ids) -> Surroundings:
    program = load(settings.flows).program
    return Surroundings(
        engine=Engine(program, rules_of(settings), ids, breaker=Breaker()),
        program=program,
        ids=ids,
        decoder=Decoder(settings.currency),
        wall=time.time,
        on_full=_give_up,
        clock="live",
        processes=1,
        started_ms=round(time.time() * 1000),
        cache_customers=16,
        publishes=True,
    )


def _give_up(full: StoreFull) -> None:
    raise full
