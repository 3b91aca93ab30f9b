"""Runs the line-up over one broker, checks what each one wrote, and compares what it cost.

Rounds, not blocks: each round runs everybody once, so that a machine that slows down does so for all; whom no ratio
needs is run in the first only.  Whoever's output is not what the oracle says has no speed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from benchmarks.figures import median
from benchmarks.machine import ROOT, commit
from benchmarks.peers import topics
from benchmarks.peers.environments import NotInstalled, python_of, version_of
from benchmarks.peers.job import Day, Promise, Reminder, expected
from benchmarks.peers.lineup import LINEUP, RATIOS, Peer
from benchmarks.peers.runs import Course, Failed, Measured, run_impuls, run_peer
from benchmarks.proof.broker import broker

CUSTOMERS = 50_000
SOME, FEW = 5, 20  # one in so many customers, where that is enough
WARM_SHARE = 0.2  # of the shopping, that fills caches before it counts


@dataclass(frozen=True)
class Row:
    """What was found of one of the line-up.  `events` are those that counted, `rates` events per CPU-second of each
    round; without them `fault` says why there are none."""

    peer: Peer
    version: str
    customers: int
    events: int = 0
    reminders: int = 0
    rates: list[float] = field(default_factory=list)
    fault: str = ""

    @property
    def rate(self) -> float | None:
        return median(self.rates) if self.rates and not self.fault else None


@dataclass(frozen=True)
class Filled:
    """A topic with a day in it, and what must come of it."""

    course: Course
    customers: int
    oracle: dict[Promise, Counter[Reminder]]


def run(only: Sequence[str] = (), customers: int | None = None, repeat: int = 3) -> list[Row]:
    """A row for each of the line-up, or of those that are named.  Raises `Failed` where there can be no broker."""
    chosen = [peer for peer in LINEUP if not only or peer.name in only]
    with broker() as servers, _folder() as folder:
        days = {
            "all": customers or CUSTOMERS,
            "some": max(100, (customers or CUSTOMERS) // SOME),
            "few": max(100, (customers or CUSTOMERS) // FEW),
        }
        filled = {size: fill(servers, size, days[size]) for size in dict.fromkeys(peer.size for peer in chosen)}
        found: dict[str, list[Measured]] = {peer.name: [] for peer in chosen}
        faults: dict[str, str] = {}
        compared = {name for pair in RATIOS.values() for name in pair}
        for number in range(repeat):
            for peer in chosen:
                if peer.name not in faults and (number == 0 or peer.name in compared):
                    print(f"  round {number + 1} of {repeat}: {peer.name}", flush=True)
                    try:
                        found[peer.name].append(checked(peer, filled[peer.size], folder / f"{peer.name}-{number}"))
                    except (Failed, NotInstalled) as error:
                        faults[peer.name] = str(error)
        return [_row(peer, filled[peer.size], found[peer.name], faults.get(peer.name, "")) for peer in chosen]


def fill(servers: str, topic: str, customers: int) -> Filled:
    day = Day(customers)
    events = list(day.events())
    topics.fill(servers, topic, events)
    warm = day.opening_events + round((len(events) - day.opening_events) * WARM_SHARE)
    oracle = {promise: expected(events, promise) for promise in Promise}
    return Filled(Course(servers, topic, len(events), warm), customers, oracle)


def checked(peer: Peer, filled: Filled, folder: Path) -> Measured:
    """Run one of them once.  Raises `Failed` where it reminded others than it should."""
    if peer.environment:
        found = run_peer(python_of(peer.environment), peer.module, peer.variant, filled.course, folder)
    else:
        found = run_impuls(peer.client, filled.course, folder)
    wanted = filled.oracle[peer.promise]
    missing, extra = (wanted - found.reminders).total(), (found.reminders - wanted).total()
    if missing or extra:
        raise Failed(f"wrong: of {wanted.total()} reminders {missing} are missing, and {extra} are none of them")
    shutil.rmtree(folder)
    return found


def ratios(rows: Sequence[Row]) -> dict[str, float]:
    """Those of which both sides have a rate."""
    rates = {row.peer.name: row.rate for row in rows}
    found = {}
    for key, (one, other) in RATIOS.items():
        above, below = rates.get(one), rates.get(other)
        if above is not None and below is not None:
            found[key] = round(above / below, 2)
    return found


def _row(peer: Peer, filled: Filled, found: list[Measured], fault: str) -> Row:
    known = version_of(peer.environment, peer.package) if peer.environment else f"{version('impuls')} ({commit()})"
    events = found[0].events if found else 0
    rates = [each.per_cpu_second for each in found]
    return Row(peer, known, filled.customers, events, filled.oracle[peer.promise].total(), rates, fault)


@contextmanager
def _folder() -> Iterator[Path]:
    """On the disk the project is on; kept where something went wrong, for its logs."""
    parent = ROOT / ".local"
    parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent, prefix="peers-run-"))
    yield folder
    if not any(folder.iterdir()):
        folder.rmdir()
