"""A real shop's visitors as load: those of the Retailrocket data set who put something in their cart."""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks.proof.crowd import Appended
from flows.imports import import_events
from state.instants import parse_instant


def data_set() -> Path | None:
    """Where it is, when IMPULS_DATA names a folder that has it."""
    path = Path(os.environ.get("IMPULS_DATA", "no folder")) / "retailrocket_events.csv.gz"
    return path if path.is_file() else None


def events(path: Path) -> Iterator[Appended]:
    """Theirs in order of time, with a made-up address and a consent before the first of each."""
    filled = _with_carts(path)
    for number, (key, value) in enumerate(import_events("retailrocket", [str(path)], consent=True)):
        customer = key.decode()
        if customer in filled:
            event = json.loads(value)
            yield Appended(parse_instant(event["timestamp"]), number, customer, event)


def _with_carts(path: Path) -> set[str]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        return {row["user"] for row in csv.DictReader(lines) if row["event"] == "addtocart"}
