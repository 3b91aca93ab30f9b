"""`impuls replay` as a user runs it: what the oracle says, however the work is cut and shared out."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from heapq import merge
from itertools import islice
from operator import itemgetter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from config import load
from flows import FLOWS
from flows.cli_replay import CONSTANT_SECRET, Replay, replay, secret_for
from flows.demo_shop import Shop
from state.instants import format_instant, parse_instant
from tests.flows.commands import ROOT, asked, impuls
from tests.flows.oracle import DAY, NEWS, by_share, decided, expected, read

UNBOUND = {"IMPULS_GUARDS__MARKETING_CAP": "none", "IMPULS_GUARDS__QUIET_HOURS": "none"}
MONDAY = parse_instant("2026-01-05T08:00:00Z")
RETAILROCKET = Path(os.environ.get("IMPULS_DATA", "no folder")) / "retailrocket_events.csv.gz"
CUT = 2_000
IN_TURN = by_share(CONSTANT_SECRET, "in_turn", 10 * 60_000)


def played(events: Path | list[Path], out: Path, *options: str, cached: int = 50_000) -> bytes:
    """The decisions of a replay, caps and quiet hours off."""
    ended = impuls(
        "replay",
        *(events if isinstance(events, list) else [events]),
        *("--out", out, "--play-out", "30d"),
        *options,
        cwd=out.parent,
        IMPULS_GUARDS__MARKETING_CAP="none",
        IMPULS_GUARDS__QUIET_HOURS="none",
        IMPULS_STORE__CUSTOMERS_CACHED=str(cached),
    )
    assert ended.code == 0, ended.err
    assert (out / "dead-letters.jsonl").read_bytes() == b""
    return (out / "decisions.jsonl").read_bytes()


def catalogue(seed: int, start: int, period: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """What a shop tells of its products: prices that go up and down, and what sells out and comes back."""
    chance, at = Random(seed), start
    for number in range(250):
        at += chance.randint(1, 2 * period // 250)
        product = chance.choice(["p-trail", "p-city", "p-wool", "p-rain", "p-pack", "p-flask", "p-lamp", "p-sock"])
        told: dict[str, Any] = {"product_id": product}
        if chance.random() < 0.6:
            told["price"] = chance.randint(1_000, 16_000) / 100
        if chance.random() < 0.6:
            told["availability"] = chance.choice([True, False])
        wire = {"type": "track", "event": "Product Changed", "messageId": f"catalogue-{number}"}
        yield at, {**wire, "timestamp": format_instant(at), "properties": told}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two weeks of a made-up shop, and of its catalogue."""
    path = tmp_path_factory.mktemp("shop") / "shop.jsonl.gz"
    visits = ((happening.at, happening.event) for happening in Shop(7, 250, MONDAY, 14 * DAY).events())
    with gzip.open(path, "wt", encoding="utf-8") as out:
        for _, event in merge(visits, catalogue(7, MONDAY, 14 * DAY), key=itemgetter(0)):
            out.write(json.dumps(event) + "\n")
    return path


@pytest.fixture(scope="module")
def decisions(shop: Path) -> bytes:
    return played(shop, shop.parent / "out")


def test_a_replay_decides_what_the_oracle_decides(shop: Path, decisions: bytes) -> None:
    found = decided(shop.parent / "out" / "decisions.jsonl")
    assert {told.message for told in found} == {
        *("welcome", "welcome_picks", "cart_reminder", "cart_reminder_2", "cart_offer", "cart_last_call"),
        *("browse_reminder", "order_thanks", "review_request", "cross_sell", "back_in_stock", "price_drop"),
    }
    assert {told.reason for told in found} == {"", "no_consent"}
    assert sorted(found) == expected(read(shop), 30 * DAY, turn=IN_TURN)


def test_decisions_stand_in_order_of_time_and_none_twice(decisions: bytes) -> None:
    places = [(told["at"], told["decision_id"]) for told in map(json.loads, decisions.splitlines())]
    assert places == sorted(set(places))
    assert len({decision_id for _, decision_id in places}) == len(places)


@pytest.mark.parametrize(
    ("workers", "batch_size", "cached"),
    [(1, 1, 50_000), (2, 5_000, 50_000), (2, 1, 50_000), (1, 777, 64), (2, 100_000, 64)],
)
def test_decisions_do_not_depend_on_workers_and_batches(
    shop: Path, decisions: bytes, tmp_path: Path, workers: int, batch_size: int, cached: int
) -> None:
    again = played(
        shop,
        tmp_path,
        *("--workers", str(workers), "--batch-size", str(batch_size)),
        cached=cached,
    )
    assert again == decisions


@pytest.mark.parametrize("shards", [1, 5])
def test_decisions_do_not_depend_on_the_number_of_shards(
    shop: Path, decisions: bytes, tmp_path: Path, shards: int
) -> None:
    settings = load(None, UNBOUND)
    replay(Replay((shop,), tmp_path, settings, CONSTANT_SECRET, play_out=30 * DAY, shards_a_worker=shards))
    assert (tmp_path / "decisions.jsonl").read_bytes() == decisions


def test_a_shop_cut_into_two_files_is_the_same_shop(shop: Path, decisions: bytes, tmp_path: Path) -> None:
    halves = [tmp_path / "views.jsonl", tmp_path / "the-rest.jsonl"]
    with gzip.open(shop, "rt") as whole, halves[0].open("w") as views, halves[1].open("w") as rest:
        for line in whole:
            (views if "Product Viewed" in line else rest).write(line)
    played(halves, tmp_path / "out")
    assert sorted(decided(tmp_path / "out" / "decisions.jsonl")) == expected(read(shop), 30 * DAY, turn=IN_TURN)


needs_data = pytest.mark.skipif(
    not RETAILROCKET.is_file(), reason="IMPULS_DATA names no folder with retailrocket_events.csv.gz: not replayed"
)


@pytest.fixture(scope="module")
def retailrocket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("retailrocket")
    ended = impuls("import", "retailrocket", RETAILROCKET, "--consent", "--to", "rr.jsonl.gz", cwd=folder)
    assert ended.code == 0, ended.err
    return folder / "rr.jsonl.gz"


@needs_data
@pytest.mark.timeout(300)
def test_months_of_a_real_shop_are_decided_as_the_oracle_does_with_one_worker_and_with_two(retailrocket: Path) -> None:
    one = played(retailrocket, retailrocket.parent / "one", "--batch-size", "5000")
    found = decided(retailrocket.parent / "one" / "decisions.jsonl")
    assert sorted(found) == expected(read(retailrocket), 30 * DAY)
    decided_about = {told.flow for told in found}
    assert decided_about == {flow.name for flow in FLOWS} - {"replenishment", *NEWS}, (
        "nobody there ordered the same thing twice, and there is no catalogue"
    )
    assert played(retailrocket, retailrocket.parent / "two", "--workers", "2", "--batch-size", "5000") == one


@needs_data
@pytest.mark.timeout(300)
def test_the_beginning_of_a_real_shop_event_by_event_is_decided_alike(retailrocket: Path, tmp_path: Path) -> None:
    """Only the first 2,000 events: each batch of one costs a turn of the whole dataflow."""
    cut = tmp_path / "cut.jsonl"
    with gzip.open(retailrocket, "rt") as whole:
        cut.write_text("".join(islice(whole, CUT)))
    whole_batches = played(cut, tmp_path / "whole", "--batch-size", "5000")
    assert played(cut, tmp_path / "single", "--batch-size", "1") == whole_batches
    assert played(cut, tmp_path / "shared", "--batch-size", "1", "--workers", "2") == whole_batches
    assert sorted(decided(tmp_path / "whole" / "decisions.jsonl")) == expected(read(cut), 30 * DAY)


def test_a_replay_takes_the_secret_there_is_and_makes_none(tmp_path: Path) -> None:
    settings = load(None, {"IMPULS_DATA_DIR": str(tmp_path / "data"), "IMPULS_SECRET_FILE": str(tmp_path / "secret")})
    assert secret_for(settings) == CONSTANT_SECRET
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "secret").write_text("x" * 32)
    assert secret_for(settings) == b"x" * 32


PAGES = b"".join(
    b'{"type":"page","userId":"u%d","timestamp":"2026-01-05T12:00:00Z","properties":null}\n' % n for n in range(40_000)
)
PACKED = gzip.compress(PAGES)
DAMAGED = "the compressed data is cut off or damaged"


@pytest.mark.parametrize(
    ("data", "workers", "said"),
    [
        (PACKED[:-20], "1", DAMAGED),
        (PACKED[:-20], "2", DAMAGED),
        (PACKED[:20_000] + b"\xff" * 64 + PACKED[20_064:], "1", DAMAGED),
        (b"no gzip at all", "1", f"broken.jsonl.gz, after line 0: {DAMAGED}"),
    ],
    ids=["cut off", "cut off for two workers", "damaged within", "no gzip"],
)
def test_a_damaged_file_is_named_in_a_line_and_replaces_nothing(
    tmp_path: Path, data: bytes, workers: str, said: str
) -> None:
    (tmp_path / "broken.jsonl.gz").write_bytes(data)
    ended = impuls("replay", tmp_path / "broken.jsonl.gz", "--out", tmp_path / "out", "--workers", workers)
    assert ended.code == 2
    assert said in ended.err
    assert ended.err.startswith(str(tmp_path / "broken.jsonl.gz"))
    assert len(ended.err.splitlines()) == 1
    assert list((tmp_path / "out").glob("*")) == []


def test_an_out_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "some.jsonl").write_bytes(PAGES[:83])
    ended = asked("replay", tmp_path / "some.jsonl", "--out", tmp_path / "some.jsonl")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"--out {tmp_path / 'some.jsonl'}: it cannot be a folder")
    assert asked("replay", tmp_path / "some.jsonl", "--out", tmp_path / "some.jsonl" / "out").code == 2


def test_a_giant_line_is_set_aside_and_the_next_is_read(tmp_path: Path) -> None:
    good = b'{"type":"page","userId":"anna","timestamp":"2026-01-05T12:00:00Z","properties":null}\n'
    (tmp_path / "giant.jsonl").write_bytes(good + b"x" * 5_000_000 + b"\n" + good)
    ended = impuls("replay", tmp_path / "giant.jsonl", "--out", tmp_path / "out")
    assert ended.code == 0, ended.err
    [letter] = (tmp_path / "out" / "dead-letters.jsonl").read_text().splitlines()
    assert '"too_large"' in letter
    assert "3 events, 0 decisions, 1 dead letter: " in ended.err
    assert str(tmp_path / "out" / "dead-letters.jsonl") in ended.err


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_replay_that_is_broken_off_says_nothing_and_leaves_nothing(tmp_path: Path, workers: str) -> None:
    line = '{{"type":"page","userId":"u{}","timestamp":"2026-01-05T12:00:00Z","properties":null}}\n'
    (tmp_path / "long.jsonl").write_text("".join(line.format(number) for number in range(300_000)))
    arguments = ["replay", tmp_path / "long.jsonl", "--out", tmp_path / "out", "--workers", workers]
    command = [sys.executable, "-c", "from flows.cli import main; main()", *map(str, arguments)]
    started = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True)
    while not list((tmp_path / "out").glob(".store/0/*/CURRENT")):
        assert started.poll() is None
        time.sleep(0.01)
    os.killpg(started.pid, signal.SIGINT)
    said = started.communicate(timeout=60)[1].decode()
    assert started.returncode == 130
    assert "panicked" not in said
    assert "Traceback" not in said
    assert list((tmp_path / "out").iterdir()) == []
