"""`make prove KILLS=n SEED=s`: faults under load, and whether every promise held.  See docs/proofs.md.

Ends with one line `RESULT {json}`; exit 1 when a promise broke.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from benchmarks.proof import outage, retailrocket
from benchmarks.proof.broker import broker
from benchmarks.proof.deployment import ROOT, Clock, Failed, Log, Plan
from benchmarks.proof.killing import Killing, Tell

Prove = Callable[[argparse.Namespace, Path, Plan, Tell], dict[str, Any]]


def main() -> int:
    asked = _arguments()
    print(f"{_machine()}\n{_versions()}\ncommit {_commit()}, seed {asked.seed}", flush=True)
    proofs: list[dict[str, Any]] = []
    logs: tuple[Log, ...] = ("log", "kafka") if asked.log == "both" else (asked.log,)
    clocks: tuple[Clock, ...] = ("replay", "live") if asked.clock == "both" else (asked.clock,)
    for log in logs:
        for clock in clocks:
            proofs.append(_prove(asked, log, clock, _kill))
        if retailrocket.data_set() is not None and "replay" in clocks:
            proofs.append(_prove(asked, log, "replay", _kill_retailrocket))
        proofs.append(_prove(asked, log, "live", _go_without_mail))
    broken = [f"{each['log']}, {each['clock']}: {fact}" for each in proofs for fact in each["broken"]]
    hits = sum(each.get("kills_that_hit", 0) for each in proofs)
    print()
    if broken:
        print("Promises that broke:", *broken, sep="\n  ")
        print(f"Again: python -m benchmarks.prove {' '.join(sys.argv[1:])}")
    else:
        print(f"0 promises broken in {hits} kills that hit: below {3 / max(hits, 1):.3f} a kill, at 95 %.")
    result = {
        "ok": not broken,
        "kills_that_hit": hits,
        "seed": asked.seed,
        "commit": _commit(),
        "machine": _machine(),
        "versions": _versions(),
        "proofs": proofs,
    }
    print("RESULT " + json.dumps(result))
    return 1 if broken else 0


def _prove(asked: argparse.Namespace, log: Log, clock: Clock, prove: Prove) -> dict[str, Any]:
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"  {time.monotonic() - began:6.1f} s  {text}", flush=True)

    servers = broker() if log == "kafka" else nullcontext("")
    with servers as at, _folder(asked.keep, f"{log}-{clock}{prove.__name__}") as folder:
        print(f"\n{prove.__doc__}: {log}, {clock} clock, in {folder}", flush=True)
        plan = Plan(log=log, clock=clock, workers=asked.workers, couriers=asked.couriers, servers=at)
        try:
            proof = prove(asked, folder, plan, tell)
        except Failed as error:
            tell(str(error))
            proof = {"log": log, "clock": clock, "broken": [f"the proof did not end: {error}"]}
    for name, value in proof.items():
        print(f"  {name:<30}{value}", flush=True)
    return proof


def _kill(asked: argparse.Namespace, folder: Path, plan: Plan, tell: Tell) -> dict[str, Any]:
    """kill -9 under load, and shards put back"""
    return Killing(folder, plan, asked.seed, kills=asked.kills, pace=asked.pace, tell=tell).run().as_json()


def _kill_retailrocket(asked: argparse.Namespace, folder: Path, plan: Plan, tell: Tell) -> dict[str, Any]:
    """kill -9 under the load of a real shop, and shards put back"""
    path = retailrocket.data_set()
    assert path is not None
    visitors = retailrocket.events(path)
    proof = Killing(folder, plan, asked.seed, kills=asked.kills, pace=asked.pace, events=visitors, tell=tell)
    return {"events_of": "Retailrocket", **proof.run().as_json()}


def _go_without_mail(asked: argparse.Namespace, folder: Path, plan: Plan, tell: Tell) -> dict[str, Any]:
    """A mail server that goes away and comes back"""
    return outage.run(folder, plan, tell=tell).as_json()


@contextmanager
def _folder(keep: Path | None, name: str) -> Iterator[Path]:
    if keep is not None:
        folder = keep.resolve() / name
        folder.mkdir(parents=True)
        yield folder
    else:
        with tempfile.TemporaryDirectory(prefix="impuls-proof-") as made:
            yield Path(made)


def _arguments() -> argparse.Namespace:
    asked = argparse.ArgumentParser(prog="python -m benchmarks.prove", description=__doc__)
    asked.add_argument("--kills", type=int, default=20, help="kill -9 that must hit, in each proof")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--log", choices=("log", "kafka", "both"), default="both")
    asked.add_argument("--clock", choices=("replay", "live", "both"), default="both")
    asked.add_argument("--workers", type=int, default=2)
    asked.add_argument("--couriers", type=int, default=2)
    asked.add_argument("--pace", type=float, default=150.0, help="events a second, on the replay clock")
    asked.add_argument("--keep", type=Path, help="a folder for data and logs, which stay there")
    return asked.parse_args()


def _machine() -> str:
    cores = len(Path("/proc/cpuinfo").read_text().split("processor\t")) - 1
    return f"{platform.system()} {platform.release()} {platform.machine()}, {cores} cores"


def _versions() -> str:
    names = ("bytewax", "rocksdict", "kafka-python", "aiosmtplib")
    return ", ".join(
        [f"Python {platform.python_version()}", *(f"{name} {importlib.metadata.version(name)}" for name in names)]
    )


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
