"""People who fill carts before they say who they are, and workers that are killed while one id becomes the other."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from benchmarks.proof.crowd import MINUTE, Appended, last_word
from benchmarks.proof.flows_proved import WINDOWS
from benchmarks.proof.registry import Fault
from benchmarks.proof.trial import Trial
from operators import windows
from state import customer as customers
from state.customer import Customer
from state.decode import Decoder, Rejected
from state.ids import Ids, shard_of
from state.instants import format_instant, parse_instant
from state.secret import load_or_make
from state.store import Resources, ShardStore

AGREEING = 500  # so many agree to hear from the shop; all their mails are waited for
MERGED_SECONDS_MAX = 600.0
Json = dict[str, Any]


def strangers(trial: Trial, people: int, pace: float, kills: int) -> None:
    """Each is anonymous for some minutes; nothing is decided about her before she says who she is."""
    trial.stop_load()
    first = len(trial.events)
    trial.settle_seconds = MERGED_SECONDS_MAX
    events, killed = _in_order(Random(trial.seed), trial.tag, trial.stage.next_start, people), Counter[str]()
    trial.start_load(pace, through=lambda _: _in_step(events, killed, kills))
    try:
        for number in range(kills):
            while trial.is_loading and trial.loaded < len(events) * (number + 0.5) / (kills + 1):
                trial.wait(0.1)
            trial.kill(trial.chance.choice([name for name in trial.deployment.names if name.startswith("worker")]))
            trial.deployment.await_ready()
            killed["workers"] += 1
        while trial.is_loading:
            trial.wait(0.2)
    finally:
        killed["workers"] = kills
        trial.stop_load()
    # Until the clock has passed the last claim, nobody can know whether all before it was read.
    trial.stage.next_start += MINUTE
    trial.stage.append([last_word(trial.stage.next_start, trial.stage.number())])
    trial.events[first:] = [_as_known(event) for event in trial.events[first:]]
    _compare(trial, trial.events[first:])


def _in_step(events: list[Appended], killed: Counter[str], kills: int) -> Iterator[Appended]:
    """A part of them before each kill is over, and the last after all."""
    for number, each in enumerate(events):
        while number * (kills + 1) // len(events) > killed["workers"]:
            time.sleep(0.05)
        yield each


def _in_order(chance: Random, tag: str, start: int, people: int) -> list[Appended]:
    """All of them within a few hours, in order of time."""
    found: list[Appended] = []
    for number in range(people):
        at = start + chance.randint(0, people * MINUTE // 20)
        found += _life(chance, f"{tag}stranger{number}", at, agrees=number < AGREEING)
    found.sort(key=lambda each: (each.at, each.customer))
    return [_numbered(each, number, tag) for number, each in enumerate(found)]


def _numbered(each: Appended, number: int, tag: str) -> Appended:
    event = {**each.event, "messageId": f"{tag}{number}", "timestamp": format_instant(each.at)}
    return Appended(each.at, number, each.customer, event)


def _life(chance: Random, name: str, at: int, *, agrees: bool) -> Iterator[Appended]:
    anonymous, known = {"anonymousId": f"{name}~"}, {"userId": name}

    def happens(after: int, ids: Json, body: Json) -> Appended:
        nonlocal at
        at += after
        return Appended(at, 0, str(ids.get("userId") or ids["anonymousId"]), {**body, **ids})

    for _ in range(chance.randint(1, 4)):
        yield happens(chance.randint(1_000, 10 * MINUTE), anonymous, _something(chance))
    yield happens(chance.randint(1_000, 10 * MINUTE), {**known, **anonymous}, _identify(name))
    if agrees:
        yield happens(100, known, _track("Consent Granted", channel="email", topic="marketing"))
    if chance.random() < 0.4:
        yield happens(chance.randint(1_000, 20 * MINUTE), known, _track("Order Completed", order_id=f"o-{name}"))


def _something(chance: Random) -> Json:
    product = f"p{chance.randint(1, 5)}"
    if chance.random() < 0.4:
        return _track("Product Viewed", product_id=product)
    return _track("Product Added", product_id=product, price=chance.choice([20, 60]), currency="PLN")


def _track(event: str, **properties: Any) -> Json:
    return {"type": "track", "event": event, "properties": properties}


def _identify(name: str) -> Json:
    return {"type": "identify", "traits": {"email": f"{name}@example.invalid"}}


def _as_known(event: Json) -> Json:
    """The same event, sent under the known id."""
    if "userId" in event:
        return {name: value for name, value in event.items() if name != "anonymousId"}
    known = {name: value for name, value in event.items() if name != "anonymousId"}
    return {**known, "userId": str(event["anonymousId"]).removesuffix("~")}


def _compare(trial: Trial, events: list[Json]) -> None:
    """Windows and carts, as the same events leave them that were sent under the known id."""
    wanted: dict[str, Customer] = {}
    decoder, counts = Decoder("PLN"), dict[str, int]()
    for event in events:
        name, now = event["userId"], parse_instant(event["timestamp"])
        made = decoder.decode(msgspec.json.encode(event), key=None, topic="", partition=0, offset=0, now=now)
        assert not isinstance(made, Rejected)
        windows.fold(WINDOWS, wanted.setdefault(name, Customer(id=name)), made)
        wanted[name].last_seen = now
        counts[name] = counts.get(name, 0) + 1
    deadline = time.monotonic() + MERGED_SECONDS_MAX
    while True:
        there = _read(trial, list(wanted))
        late = [name for name, count in counts.items() if name not in there or there[name].events < count]
        if not late or time.monotonic() > deadline:
            break
        trial.wait(1.0)
    trial.verdict.hold("everything that was anonymous has come", late, "lost")
    trial.verdict.hold("nothing counts twice", [name for name, each in there.items() if each.events > counts[name]])
    differs = [
        name
        for name, each in there.items()
        if windows.describe(WINDOWS, each, wanted[name].last_seen)
        != windows.describe(WINDOWS, wanted[name], wanted[name].last_seen)
    ]
    trial.verdict.hold("windows are as if all had been sent under the known id", differs)
    trial.notes["became_known"] += sum(each.joined is not None for each in there.values())


def _read(trial: Trial, names: list[str]) -> dict[str, Customer]:
    settings = trial.deployment.settings
    ids = Ids(load_or_make(settings.secret_file))
    by_shard: dict[int, list[tuple[str, bytes]]] = {}
    for name in names:
        chash = ids.customer(name.encode())
        by_shard.setdefault(shard_of(chash, settings.shards), []).append((name, chash))
    resources = Resources.open_reading(settings.data_dir)
    found: dict[str, Customer] = {}
    with tempfile.TemporaryDirectory(prefix="proof-") as scratch:
        for shard, mine in by_shard.items():
            store = ShardStore.open_reading(settings.data_dir, shard, Path(scratch), resources=resources)
            for name, chash in mine:
                raw = store.customer(chash)
                if raw is not None:
                    found[name] = customers.decode(raw)
            store.close()
    return found


JUDGED = "windows and decisions are those of the same events sent under the known id from the start"
_SIZES = {"strangers-few": (30, 60.0, 2), "strangers": (200, 60.0, 5), "strangers-10000": (10_000, 600.0, 5)}
FAULTS = [
    Fault(
        name,
        f"{people:,} anonymous ids become known, a worker killed {kills} times",
        JUDGED,
        "log",
        partial(strangers, people=people, pace=pace, kills=kills),
        has_news=False,
    )
    for name, (people, pace, kills) in _SIZES.items()
]
