"""`python -m tests.simulation --schedules 100000 --seed 1`: ends with RESULT {json}, exit 1 where a promise broke."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.simulation import outages, strangers
from tests.simulation.checks import live

OUTAGE_EVERY = 20  # they take ten times as long as others


def lives(first: int, count: int) -> tuple[Counter[str], list[str]]:
    """Every other life is one of strangers who say later who they are, and some have an outage of hours."""
    hits: Counter[str] = Counter()
    failures = []
    for seed in range(first, first + count):
        play = strangers.live if seed % 2 else outages.live if seed % OUTAGE_EVERY == 0 else live
        try:
            hits += play(seed).accidents.hit
        except AssertionError as error:
            failures.append(str(error))
    return hits, failures


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    options.add_argument("--schedules", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=1, help="the first of the seeds")
    options.add_argument("--bite", type=int, default=250)
    chosen = options.parse_args()
    began = time.monotonic()
    hits: Counter[str] = Counter()
    failures: list[str] = []
    starts = range(chosen.seed, chosen.seed + chosen.schedules, chosen.bite)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        counts = [min(chosen.bite, chosen.seed + chosen.schedules - start) for start in starts]
        for done, (found, failed) in enumerate(pool.map(lives, starts, counts), 1):
            hits += found
            failures += failed
            if sys.stderr.isatty():
                print(f"\r{done * chosen.bite:,} lives, {len(failures)} failed", end="", file=sys.stderr)
    for failure in failures[:20]:
        print(failure)
    result = {
        "schedules": chosen.schedules,
        "seed": chosen.seed,
        "failed": len(failures),
        "accidents": dict(hits),
        "seconds": round(time.monotonic() - began, 1),
    }
    print(f"RESULT {json.dumps(result)}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
