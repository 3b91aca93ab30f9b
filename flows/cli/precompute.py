"""`impuls precompute`: what to recommend to every customer, as files, for newsletters and for other systems.

One file per shard, each written whole or not at all: a run that was interrupted goes on where it was when it is given
the same folder and asked the same.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from config import Settings
from flows.catalog import load
from flows.cli.options import Config, audit, fail
from flows.cli.progress import Bar
from flows.cli.reading import existing, shard_reader
from operators.recommender import answers
from operators.recommender.histories import history_of
from operators.recommender.reading import Learnt
from state import customer as customers
from state.files import write_whole
from state.ids import Ids
from state.instants import format_instant
from state.item_store import ItemStore
from state.recommendations import BLOCKS, Block
from state.rocks import Memory
from state.secret import load_or_make
from state.store_reading import ShardReading

PLAN = "precompute.json"
_encode = msgspec.json.Encoder().encode


class Plan(msgspec.Struct, frozen=True):
    """What was asked, and when the run began: another question belongs into another folder."""

    block: Block
    limit: int
    shards: int
    at: str


def precompute(
    out: Annotated[Path, typer.Option(help="The folder for a file of JSON lines per shard.")],
    block: Annotated[str, typer.Option(help="abandoned, buy_again or discover.")] = "discover",
    limit: Annotated[int, typer.Option(min=1, max=100, help="Products for each customer.")] = 12,
    config: Config = None,
) -> None:
    """Recommend to every customer, beside the running workers; started again in the same folder, it goes on."""
    chosen = next((each for each in BLOCKS if each == block), None)
    if chosen is None:
        raise fail(f'--block "{block}": there is no such block. It is {", ".join(BLOCKS)}.', 2)
    settings = existing(config)
    audit(settings, "precompute")
    plan = _planned(settings, out, chosen, limit)
    done = 0
    with tempfile.TemporaryDirectory(prefix="impuls-") as scratch, shard_reader(settings) as open_shard:
        memory = Memory(settings.recommender.cache_mib, 8)
        rules = load(settings.flows).rules
        learnt = Learnt(lambda: ItemStore.open_reading(settings.data_dir, Path(scratch), memory), rules=rules)
        ids = Ids(load_or_make(settings.secret_file, settings.data_dir))
        with Bar("customers") as bar:
            for number in range(plan.shards):
                path = out / f"shard-{number:04}.jsonl"
                if path.exists():
                    continue
                store: ShardReading = open_shard(number)
                part = path.with_suffix(".part")
                with part.open("wb") as written:
                    for line in _lines(store, learnt, ids, plan):
                        written.write(line)
                        done += 1
                        bar.at(done)
                part.rename(path)
        learnt.close()
    print(json.dumps({"customers": done, "shards": plan.shards, **msgspec.to_builtins(plan)}))


def _planned(settings: Settings, out: Path, block: Block, limit: int) -> Plan:
    """The plan of the folder; made where there is none.  Ends the command where the folder holds another."""
    path = out / PLAN
    if path.exists():
        plan = msgspec.json.decode(path.read_bytes(), type=Plan)
        if (plan.block, plan.limit, plan.shards) != (block, limit, settings.shards):
            raise fail(f"{out}: holds {plan.limit} products of {plan.block} for each. Name another folder.", 2)
        left = sum(not (out / f"shard-{number:04}.jsonl").exists() for number in range(plan.shards))
        if not left:
            raise fail(f"{out}: is complete, as of {plan.at}. Remove it, or name another folder.", 2)
        print(f"Going on with what was begun at {plan.at}: {left} of {plan.shards} shards are left.", file=sys.stderr)
        return plan
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    plan = Plan(block, limit, settings.shards, format_instant(round(time.time() * 1000)))
    write_whole(path, msgspec.json.encode(plan).decode())
    return plan


def _lines(store: ShardReading, learnt: Learnt, ids: Ids, plan: Plan) -> Iterator[bytes]:
    """A line for each customer to whom something can be recommended."""
    learnt.refresh()
    for _, raw in store.customers():
        record = customers.decode(raw)
        if record.alias is not None and record.alias.of:
            continue  # she is another's, who has a line of her own
        made = answers.recommend(
            learnt,
            history_of(record),
            plan.block,
            plan.limit,
            id=ids.recommendation(record.id, plan.block, plan.at),
            now=round(time.time() * 1000),
            customer=record.id,
        )
        if made.items:
            yield _encode(made) + b"\n"
