"""The commands that look: customer, decisions, status.  They take no lock and stop nobody."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from config import Settings
from flows.catalog import CatalogError, load
from flows.cli.identities import note_on, other_ids, shown_identity
from flows.cli.options import Config, Json, audit, fail, ids_of, instant, settings_of
from flows.supervisor_health import read_beat
from operators import balance, comparison, windows
from operators.counts import parked_in
from operators.tallies import Counts, tallied_in, together
from state import customer as customers
from state import decisions as decided
from state import identity
from state.decisions import Decision
from state.ids import shard_of
from state.instants import format_instant
from state.store import Resources, ShardStore
from state.store_reading import ShardReading


def existing(config: Config) -> Settings:
    """The settings of a deployment that has run; where there is none, looking at it makes nothing.

    Raises `StoreRefused`, `StoreMismatch` where they are not those it was made with.
    """
    settings = settings_of(config)
    if not (settings.data_dir / "identity.json").exists():
        raise fail(
            f"{settings.data_dir}: no worker has run here yet. Start one with `impuls run`, or name another data_dir."
        )
    identity.known(settings.data_dir, settings.shards)
    return settings


@contextmanager
def shard_reader(settings: Settings) -> Iterator[Any]:
    """A function that opens a shard for reading, beside whoever writes it."""
    resources = Resources.open_reading(settings.data_dir)
    with tempfile.TemporaryDirectory(prefix="impuls-") as scratch:
        opened: list[ShardReading] = []

        def open_shard(number: int) -> ShardReading:
            store = ShardStore.open_reading(settings.data_dir, number, Path(scratch), resources=resources)
            opened.append(store)
            return store

        try:
            yield open_shard
        finally:
            for store in opened:
                store.close()


def customer(
    id: Annotated[str, typer.Argument(metavar="ID", help="The id the shop uses.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """What is known of a customer."""
    settings = existing(config)
    audit(settings, "customer", id)
    chash = ids_of(settings).customer(id.encode())
    program = load(settings.flows).program
    with shard_reader(settings) as open_shard:
        store: ShardReading = open_shard(shard_of(chash, settings.shards))
        raw = store.customer(chash)
        if raw is None:
            raise fail("There is no such customer.")
        record = customers.decode(raw)
        shown = shown_customer(record)
        shown["windows"] = windows.describe(program.windows, record, round(time.time() * 1000))
        shown["held_events"] = len(store.held(chash))
    if note := note_on(record):
        print(note, file=sys.stderr)
    print(json.dumps(shown) if as_json else json.dumps(shown, indent=2, ensure_ascii=False))


def shown_customer(record: customers.Customer) -> dict[str, Any]:
    """A customer's record with the names and times that people read."""

    def at(ms: int) -> str | None:
        return format_instant(ms) if ms else None

    traits = record.traits
    return {
        "customer": record.id,
        **shown_identity(record),
        "first_seen": at(record.first_seen),
        "last_seen": at(record.last_seen),
        "events": record.events,
        "traits": {
            name: getattr(traits, name)
            for name in ("email", "phone", "first_name", "last_name", "locale", "time_zone")
            if getattr(traits, name)
        },
        "devices": len(record.devices),
        "consents": {
            place: {"granted": word.granted, "at": at(word.at), "id": word.id}
            for place, word in record.consents.items()
        },
        "suppressed": sorted(set(record.suppressed.values())),
        "orders": record.orders,
        "last_order_at": at(record.last_order_at),
        "carts": [
            {
                "cart_id": cart.cart_id,
                "changed_at": at(cart.changed_at),
                "ordered_at": at(cart.ordered_at),
                "lines": [{"product_id": line.product_id, "quantity": line.quantity} for line in cart.lines],
            }
            for cart in record.carts.values()
        ],
        "recommended": {
            product: {"times": each.times, "last_at": at(each.at)} for product, each in record.shown.items()
        },
        "parked": [
            {
                "flow": p.flow,
                "subject": p.subject,
                "passage": p.id,
                "wait": p.wait,
                "until": at(p.until),
                "set_aside": p.set_aside,
            }
            for p in record.passages
        ],
        "experiments": {
            name: {"arm": arm.arm, "propensity": arm.propensity, "since": at(arm.at)}
            for name, arm in record.arms.items()
        },
        "counts_against_caps": [
            {"at": at(s.at), "message_id": s.message_id, "flow": s.flow, "channel": s.channel, "topic": s.topic}
            for s in record.sent
        ],
        "pending": [
            {
                "message_id": p.message_id,
                "flow": p.flow,
                "message": p.template,
                "attempt": p.attempt,
                "awaiting_result": p.awaiting,
                "reason": p.why,
                "due": at(p.due),
            }
            for p in record.pending
        ],
    }


def decisions(
    customer: Annotated[str | None, typer.Option(help="Of one customer.")] = None,
    flow: Annotated[str | None, typer.Option(help="By one flow.")] = None,
    since: Annotated[str | None, typer.Option(help="From this time on.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """The decision log."""
    settings = existing(config)
    audit(settings, "decisions", customer or "")
    after = instant(since) if since else 0
    with shard_reader(settings) as open_shard:
        found: Iterator[bytes] | list[bytes]
        if customer is not None:
            found = _decisions_of(settings, customer, after, open_shard)
        else:
            shards = range(settings.shards)
            found = (raw for number in shards for raw in open_shard(number).all_decisions(after))
        rows = [decided.from_json(raw) for raw in found]
    asked_for = [row for row in rows if flow is None or row.flow == flow]
    for row in sorted(asked_for, key=lambda row: (row.at, row.decision_id)):
        sys.stdout.write((decided.to_json(row).decode() if as_json else _line(row)) + "\n")
    if not asked_for:
        limits = (("about", customer), ("by", flow), ("since", since))
        about = [f" {word} {value}" for word, value in limits if value]
        print(f"There is no decision{''.join(about)}.", file=sys.stderr)


def _decisions_of(settings: Settings, customer: str, after: int, open_shard: Any) -> Iterator[bytes]:
    """Hers, and those about the ids she had before she was known."""
    ids = ids_of(settings)
    chash = ids.customer(customer.encode())
    raw = open_shard(shard_of(chash, settings.shards)).customer(chash)
    others = other_ids(customers.decode(raw)) if raw is not None else []
    for each in (customer, *others):
        other = ids.customer(each.encode())
        yield from open_shard(shard_of(other, settings.shards)).decisions(other, after)


def _line(row: Decision) -> str:
    reason = f" {row.reason}" if row.reason else ""
    until = f" until {row.until}" if row.until else ""
    return f"{row.at}  {row.customer:<20} {row.flow:<20} {row.message:<20} {row.outcome}{reason}{until}"


def _tallied(settings: Settings, counts: Counts) -> tuple[list[balance.Seen], list[dict[str, Any]]]:
    """Of the experiments and trials of the present flows; nothing where they cannot be read, no fault here."""
    try:
        program = load(settings.flows).program
    except CatalogError:
        return [], []
    return [balance.seen(program, counts)], [comparison.Trials(program).seen(counts)]


def status(config: Config = None, as_json: Json = False) -> None:
    """Shards, lag, parked customers, timers, outbox, and how long ago the sources last answered."""
    settings = existing(config)
    folder = settings.data_dir / "run"
    beats = {
        path.stem: read_beat(folder, path.stem) for path in sorted(folder.glob("*.json")) if "place" not in path.stem
    }
    now = time.time()
    running = {name: beat for name, beat in beats.items() if now - beat.get("at", 0) < 10}
    workers = [beat for name, beat in running.items() if name.startswith("worker-")]
    parked: dict[str, int] = {}
    if workers:
        for beat in workers:
            for place, count in beat.get("parked", {}).items():
                parked[place] = parked.get(place, 0) + count
        told = [beat.get("experiments", {}) for beat in workers]
        tried = [beat.get("trials", {}) for beat in workers]
    else:
        tallies: list[Counts] = []
        with shard_reader(settings) as open_shard:
            for number in range(settings.shards):
                store = open_shard(number)
                tallies.append(tallied_in(store))
                for (flow, wait), count in parked_in(store).items():
                    parked[f"{flow}/{wait}"] = parked.get(f"{flow}/{wait}", 0) + count
        told, tried = _tallied(settings, together(tallies))
    lag: dict[str, int] = {}
    for beat in workers:
        for name, end in beat.get("ends", {}).items():
            lag[name] = max(0, end - min(each.get("watermarks", {}).get(name, end) for each in workers))
    clocks = [beat["clock"] for beat in workers if beat.get("clock")]
    shown = {
        "processes": {name: {"pid": beat.get("pid"), "ready": beat.get("ready")} for name, beat in running.items()},
        "shards": settings.shards,
        "lag": {name: count for name, count in sorted(lag.items()) if count},
        "lag_total": sum(lag.values()) if workers else None,
        "clock": format_instant(min(clocks)) if clocks else None,
        "parked": {place: count for place, count in sorted(parked.items()) if count},
        "timers": sum(beat.get("timers", 0) for beat in workers) if workers else None,
        "outbox": sum(beat.get("outbox", 0) for beat in workers) if workers else None,
        "last_fetch_age_seconds": max((beat.get("last_fetch_age_seconds", 0.0) for beat in workers), default=None),
        "stopped_flows": sorted({name for beat in workers for name in beat.get("stopped_flows", [])}),
        "experiments": balance.judged(told),
        "trials": comparison.together(tried),
    }
    print(msgspec.json.encode(shown).decode() if as_json else json.dumps(shown, indent=2))
