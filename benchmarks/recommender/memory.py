"""How much memory the learner's part takes for a shop of a million products, with its rows on disk.

What `flows.learner` does to an event is done here without the log: a visitor's event teaches, and what changed is
written once for so many events.  Products are looked at in neighbourhoods of a hundred, some far more than others
(Zipf), so that popular rows are as full as rows get.  Ends with one line `RESULT {json}`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from benchmarks import machine
from benchmarks.children import in_child
from flows import huge_pages
from operators.recommender.learning import Learning
from operators.recommender.lessons import Lessons
from state.events import ProductViewed
from state.item_store import ItemStore
from state.rocks import Memory

MIB = 1 << 20
CACHE_MIB = 64  # `[recommender] cache_mib`
EPOCH_EVENTS = 2_000  # learnt from between two writes: what a busy second brings
NEIGHBOURHOOD = 100
VISIT = 6
VISITORS = 200_000
BEGAN = 1_767_571_200_000


class Found(msgspec.Struct, frozen=True):
    items: int
    events: int
    rss_mib: int
    events_per_second: int
    disk_mib: int


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recommender.memory", description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=3_000_000)
    asked = parser.parse_args(arguments)
    print("\n".join(machine.described()))
    found = in_child(measure, asked.items, asked.events)
    print(f"\n{found.items:,} products, {found.events:,} events: {found.rss_mib:,} MiB resident at most,")
    print(f"  {found.disk_mib:,} MiB on disk, {found.events_per_second:,} events a second")
    print("RESULT " + json.dumps(msgspec.to_builtins(found)))
    return 0


def measure(items: int, events: int) -> Found:
    """In a process of its own: what is resident counts from its start."""
    with TemporaryDirectory(prefix="impuls-items-") as folder:
        store = ItemStore.open(Path(folder), Memory(CACHE_MIB, 32))
        learning = Learning(store)
        lessons = Lessons(learning.model, learning.shelf)
        began = time.perf_counter()
        for number, (who, event) in enumerate(_stream(items, events), 1):
            lessons.take(who, event)
            if number % EPOCH_EVENTS == 0:
                learning.save({}, {}, {})
        took = time.perf_counter() - began
        store.close()
        disk = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        return Found(items, events, _most_resident() // MIB, round(events / took), disk // MIB)


def _stream(items: int, events: int) -> Iterator[tuple[bytes, ProductViewed]]:
    """First everything is looked at once, then visits to neighbourhoods."""
    chance = random.Random(1)
    for number in range(min(items, events // 2)):
        yield _viewed(number, number // NEIGHBOURHOOD, number)
    places = max(1, items // NEIGHBOURHOOD)
    reached = list(accumulate(1.0 / (1 + place) for place in range(places)))
    done = min(items, events // 2)
    while done < events:
        place = bisect(reached, chance.random() * reached[-1])
        who = chance.randrange(VISITORS)
        for _ in range(min(VISIT, events - done)):
            yield _viewed(place * NEIGHBOURHOOD + chance.randrange(NEIGHBOURHOOD), who, done)
            done += 1


def _viewed(item: int, who: int, number: int) -> tuple[bytes, ProductViewed]:
    event = ProductViewed(
        id=str(number), at=BEGAN + number * 10, product_id=f"p{item}", name=f"Product {item}", category=f"c{item % 500}"
    )
    return who.to_bytes(16, "big"), event


def _most_resident() -> int:
    """Bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    huge_pages.start_again()  # as `impuls` does
    sys.exit(main())
