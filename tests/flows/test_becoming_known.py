"""Who was anonymous is known from a moment on: a replay decides as if she had been known from the start."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from config import load
from flows.cli_replay import CONSTANT_SECRET, Replay, replay
from state.instants import format_instant, parse_instant
from tests.flows.oracle import DAY, decided, expected

START = parse_instant("2026-01-05T08:00:00Z")
MINUTE = 60_000
UNBOUND = {"IMPULS_GUARDS__MARKETING_CAP": "none", "IMPULS_GUARDS__QUIET_HOURS": "none"}
Json = dict[str, Any]


def track(event: str, **properties: Any) -> Json:
    return {"type": "track", "event": event, "properties": properties}


def something(chance: Random, number: int) -> Json:
    product = f"p{chance.randint(1, 9)}"
    price = chance.choice([20, 60])
    return chance.choice(
        [
            track("Product Viewed", product_id=product),
            track("Product Added", product_id=product, price=price, currency="PLN"),
            track("Product Added", product_id=product, price=price, currency="PLN"),
            track("Product Removed", product_id=product),
            track("Order Completed", order_id=f"o{number}"),
        ]
    )


def life(chance: Random, person: int, at: int) -> list[tuple[int, str, Json]]:
    """(time, under which ids, event): some things before she says who she is, some after, under either id."""
    found: list[tuple[int, str, Json]] = []
    for number in range(chance.randint(0, 5)):
        at += chance.choice([1, 10, 30, 60, 100]) * MINUTE
        found.append((at, "anonymous", something(chance, number)))
    at += chance.choice([0, 1, 5, 200]) * MINUTE + 50
    found.append((at, "both", {"type": "identify", "traits": {"email": f"k{person}@example.com"}}))
    at += 100
    found.append((at, "known", track("Consent Granted", channel="email", topic="marketing")))
    for number in range(10, 10 + chance.randint(0, 6)):
        at += chance.choice([1, 60, 600, 1_800, 3_600, 6_000, 18_000]) * 1_000
        found.append((at, chance.choice(["known", "known", "both", "anonymous"]), something(chance, number)))
    return found


def events(seed: int, people: int, *, known_from_the_start: bool) -> list[Json]:
    chance = Random(seed)
    found = []
    for person in range(people):
        for number, (at, who, event) in enumerate(life(chance, person, START + chance.randint(0, 3 * DAY))):
            ids = {"userId": f"k{person}"} if known_from_the_start or who != "anonymous" else {}
            if who != "known" and not known_from_the_start:
                ids["anonymousId"] = f"a{person}"
            whole = {**event, **ids, "messageId": f"m{person}-{number}", "timestamp": format_instant(at)}
            found.append((at, person, number, whole))
    return [each[3] for each in sorted(found, key=lambda each: each[:3])]


def played(folder: Path, history: list[Json], *, workers: int = 1, batch_size: int = 5_000) -> bytes:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in history))
    plan = Replay(
        (folder / "events.jsonl",),
        folder / "out",
        load(None, UNBOUND),
        CONSTANT_SECRET,
        play_out=30 * DAY,
        workers=workers,
        batch_size=batch_size,
    )
    replay(plan)
    assert (folder / "out" / "dead-letters.jsonl").read_bytes() == b""
    return (folder / "out" / "decisions.jsonl").read_bytes()


def test_what_was_done_anonymously_counts_as_if_she_had_been_known(tmp_path: Path) -> None:
    played(tmp_path, events(1, 100, known_from_the_start=False))
    found = decided(tmp_path / "out" / "decisions.jsonl")
    as_known = Counter(told._replace(customer=told.customer.replace("a", "k")) for told in found)
    assert as_known == Counter(expected(events(1, 100, known_from_the_start=True), 30 * DAY))


@pytest.mark.parametrize(("workers", "batch_size"), [(2, 1), (2, 100_000), (1, 777)])
def test_it_does_not_depend_on_workers_and_batches(tmp_path: Path, workers: int, batch_size: int) -> None:
    history = events(3, 100, known_from_the_start=False)
    disordered = sorted(history, key=lambda event: (parse_instant(event["timestamp"]) // DAY, event["messageId"]))
    once = played(tmp_path / "once", disordered)
    assert once.count(b"\n") > 200
    assert played(tmp_path / "again", disordered, workers=workers, batch_size=batch_size) == once
