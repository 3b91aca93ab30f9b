"""Who waits for a product under two ids hears what she would have heard under one, however a replay is cut."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from state.instants import format_instant
from tests.flows.oracle import NEWS, Expected, decided, instant
from tests.flows.test_becoming_known import START, Json, played, track

SECOND, MINUTE = 1_000, 60_000
LINES = 1_500
PEOPLE = 25
PRODUCTS = [f"p{n}" for n in range(6)]


def season(seed: int) -> tuple[list[Json], dict[str, int]]:
    """Views under either id, and what the catalogue says; when each person said who she is."""
    chance, at, history, claims = Random(seed), START, list[Json](), dict[str, int]()
    for number in range(LINES):
        at += chance.choice([0, 1, 1, 60, 600, 3_600]) * SECOND
        person, product = chance.randrange(PEOPLE), chance.choice(PRODUCTS)
        known, anonymous = {"userId": f"k{person}"}, {"anonymousId": f"a{person}"}
        kind = chance.random()
        if kind < 0.75:
            event = {**track("Product Viewed", product_id=product), **chance.choice([known, anonymous])}
        elif kind < 0.9:
            event = track("Product Changed", product_id=product, availability=chance.choice([True, False]))
        elif f"k{person}" not in claims:
            claims[f"k{person}"] = at
            event = {"type": "identify", "traits": {}, **known, **anonymous}
        else:
            event = {**track("Products Searched", query="wool"), "userId": f"other-{number}"}
        history.append({**event, "messageId": f"m{number}", "timestamp": format_instant(at)})
    return history, claims


def as_known(history: list[Json]) -> list[Json]:
    ids = ("anonymousId", "userId")
    return [
        {k: v for k, v in event.items() if k not in ids} | {"userId": "k" + str(event[name])[1:]}
        if (name := next((each for each in ids if each in event), "")) and str(event[name])[0] in "ak"
        else event
        for event in history
    ]


def heard(folder: Path, claims: dict[str, int]) -> set[Expected]:
    """What those were told of the catalogue who had said who they are."""
    told = (each._replace(customer=each.customer.replace("a", "k")) for each in decided(folder / "out/decisions.jsonl"))
    return {each for each in told if each.flow in NEWS and each.at > claims.get(each.customer, each.at) + 10 * MINUTE}


def test_she_hears_of_what_she_saw_under_either_id(tmp_path: Path) -> None:
    history, claims = season(1)
    played(tmp_path / "split", history)
    played(tmp_path / "whole", as_known(history))
    told = heard(tmp_path / "whole", claims)
    assert len(told) > 100
    assert heard(tmp_path / "split", claims) == told


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_what_they_hear_does_not_depend_on_batches_and_workers(tmp_path: Path, seed: int) -> None:
    """Some of it comes in disorder, so that views and news are held back behind waits."""
    history, _ = season(seed)
    chance = Random(seed)
    late = {event["messageId"]: chance.choice([0] * 9 + [2 * 3_600_000]) for event in history}
    history.sort(key=lambda event: instant(event["timestamp"]) + late[event["messageId"]])
    once = played(tmp_path / "once", history)
    assert played(tmp_path / "one-by-one", history, batch_size=1) == once
    assert played(tmp_path / "shared", history, workers=2, batch_size=37) == once
