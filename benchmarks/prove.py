"""`make prove KILLS=n SEED=s`: kills under work and every other fault, and whether each promise held.

See docs/reliability.md.  Ends with one line `RESULT {json}`; exit 1 when a promise broke.
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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.ending import end_in_order
from benchmarks.proof import outage, retailrocket
from benchmarks.proof.broker import broker
from benchmarks.proof.deployment import ROOT, Clock, Failed, Log, Plan
from benchmarks.proof.faults import FAULTS
from benchmarks.proof.killing import Killing
from benchmarks.proof.registry import Fault
from benchmarks.proof.results import Results
from benchmarks.proof.stage import NotHere, stage
from benchmarks.proof.verdict import Verdict
from state.records import LogError

KILLS = "kills"
OUTAGE = "smtp-outage"  # it takes a deployment of its own, and more than a minute
KILLS_A_PROOF_MAX = 25
SEEDS = 100_000  # trials of a seed, before they are those of the next


def main() -> int:
    asked = _arguments()
    began = time.monotonic()
    until = began + asked.minutes * 60 if asked.minutes else float("inf")
    print(f"{_machine()}\n{_versions()}\ncommit {_commit()}, seed {asked.seed}", flush=True)
    chosen = [fault for fault in FAULTS if asked.faults in (["all"], [""]) or fault.name in asked.faults]
    results = Results(asked.into, [fault.name for fault in chosen])
    results.begin({"commit": _commit(), "seed": asked.seed, "machine": _machine(), "versions": _versions()})
    if asked.faults in (["all"], [""]):
        _kill(asked, results, until - (until - began) * 0.5 if asked.minutes else until)
    if OUTAGE in asked.faults or asked.faults in (["all"], [""]):
        _go_without_mail(asked, results, until)
    _try_all(asked, chosen, results, until)
    results.end(time.monotonic() - began)
    print(f"\n{results.table()}\n")
    kills = results.json["kills_under_work"]
    if results.is_well:
        print(f"0 promises broken in {kills} kills under work: below {3 / max(kills, 1):.3f} a kill, at 95 %.")
    else:
        print("Promises that broke:", *results.json["broken"], sep="\n  ")
    print("RESULT " + json.dumps({"ok": results.is_well, "seed": asked.seed, "commit": _commit(), **results.json}))
    return 0 if results.is_well else 1


# -- kills under work


def _kill(asked: argparse.Namespace, results: Results, until: float) -> None:
    """Proof after proof, on both logs and both clocks, with one and with two processes of a kind."""
    while time.monotonic() < until and (left := asked.kills - results.json["kills_under_work"]) > 0:
        number = results.take(KILLS)
        log: Log = asked.log if asked.log != "both" else ("log", "kafka")[number % 2]
        clock: Clock = asked.clock if asked.clock != "both" else ("replay", "live")[number // 2 % 2]
        plan = Plan(log, clock, 1 + number // 4 % 2, 1 + number // 4 % 2, shards=16, partitions=4)
        _kill_under(asked, results, plan, asked.seed * SEEDS + number, min(left, asked.kills_a_proof))


def _kill_under(asked: argparse.Namespace, results: Results, plan: Plan, seed: int, kills: int) -> None:
    began = time.monotonic()
    name = f"{KILLS}-{plan.log}-{plan.clock}-{plan.workers}"
    data = retailrocket.data_set() if plan.clock == "replay" and seed % 3 == 2 else None

    def tell(text: str) -> None:
        print(f"  {time.monotonic() - began:6.1f} s  {text}", flush=True)

    verdict, hits = Verdict(), 0
    with ExitStack() as around:
        try:
            servers = around.enter_context(broker()) if plan.log == "kafka" else ""
            folder = around.enter_context(_folder(asked.keep, name, seed))
            print(f"\nkill -9 under load: {name}, seed {seed}, in {folder}", flush=True)
            told = Plan(**{**plan.__dict__, "servers": servers})
            events = retailrocket.events(data) if data is not None else None
            proof = Killing(folder, told, seed, kills=kills, pace=asked.pace, events=events, tell=tell).run()
            verdict, hits = proof.verdict, proof.hits
            for what, value in proof.as_json().items():
                print(f"  {what:<30}{value}", flush=True)
        except (Failed, OSError) as error:
            tell(str(error))
            verdict.hold(f"the proof did not end: {error}", [name])
    again = f"--kills {kills} --seed {seed}"
    seconds = time.monotonic() - began
    results.add(name, verdict, kills=hits, seconds=seconds, notes={"kills": hits}, again=again)


def _go_without_mail(asked: argparse.Namespace, results: Results, until: float) -> None:
    """A mail server that goes away, comes back refusing, then serves; some messages expire, and memory stays flat."""
    while results.tried(OUTAGE) < asked.times and time.monotonic() < until:
        began, verdict = time.monotonic(), Verdict()
        print(f"\n{OUTAGE}", flush=True)
        with _folder(asked.keep, OUTAGE, results.take(OUTAGE)) as folder:
            try:
                found = outage.run(folder, Plan("log", "live", shards=16, partitions=4))
                verdict, notes = found.verdict, {"expired": found.expired, "retries": found.retries}
            except (Failed, OSError) as error:
                verdict.hold("the trial could be made", [error])
                notes = {}
        again = f"--faults {OUTAGE} --times 1"
        results.add(OUTAGE, verdict, kills=0, seconds=time.monotonic() - began, notes=notes, again=again)


# -- all other faults


def _try_all(asked: argparse.Namespace, faults: list[Fault], results: Results, until: float) -> None:
    """Stage by stage, each within its share of the time, what was tried least first."""
    stages = sorted({fault.stage for fault in faults}, key=lambda name: [f.stage for f in faults].index(name))
    stages.sort(key=lambda name: min(results.begun(fault.name) for fault in faults if fault.stage == name))
    for number, name in enumerate(stages):
        now = time.monotonic()
        mine = [fault for fault in faults if fault.stage == name]
        _try_on(asked, name, mine, results, now + (until - now) / (len(stages) - number))


def _try_on(asked: argparse.Namespace, name: str, faults: list[Fault], results: Results, until: float) -> None:
    began = time.monotonic()
    while waiting := [fault for fault in faults if results.tried(fault.name) < asked.times]:
        if time.monotonic() >= until:
            return
        with ExitStack() as around:
            try:
                folder = around.enter_context(_folder(asked.keep, name, round(time.time())))
                on = around.enter_context(stage(name, folder))
            except NotHere as error:
                for fault in waiting:
                    results.skip(fault.name, str(error))
                    print(f"\n{fault.name}: not tried here: {error}", flush=True)
                return
            print(f"\nstage {name}, in {folder}", flush=True)
            while waiting := [fault for fault in faults if results.tried(fault.name) < asked.times]:
                fault = min(waiting, key=lambda fault: results.begun(fault.name))
                at = time.monotonic()
                if at >= until or on.is_used_up:
                    break
                seed = asked.seed * SEEDS + results.take(fault.name) + asked.since
                again = f"--faults {fault.name} --seed {asked.seed} --since {seed % SEEDS} --times 1"
                try:
                    trial = on.try_once(fault, seed)
                except (Failed, LogError, OSError) as error:
                    verdict = Verdict()
                    verdict.hold("the trial could be made", [error])
                    results.add(fault.name, verdict, kills=0, seconds=time.monotonic() - at, notes={}, again=again)
                    print(f"  {time.monotonic() - began:6.1f} s  {fault.name}, seed {seed}: {error}", flush=True)
                    break
                results.add(
                    fault.name,
                    trial.verdict,
                    kills=trial.kills_under_work,
                    seconds=time.monotonic() - at,
                    notes=trial.notes,
                    again=again,
                )
                what = "; ".join(trial.verdict.broken) or "held"
                print(f"  {time.monotonic() - began:6.1f} s  {fault.name}, seed {seed}: {what}", flush=True)


# -- around it


@contextmanager
def _folder(keep: Path | None, name: str, number: int) -> Iterator[Path]:
    if keep is not None:
        folder = keep.resolve() / f"{name}-{number}"
        folder.mkdir(parents=True)
        yield folder
    else:
        with tempfile.TemporaryDirectory(prefix="impuls-proof-") as made:
            yield Path(made)


def _arguments() -> argparse.Namespace:
    names = "\n".join(f"  {fault.name:<20}{fault.what}" for fault in FAULTS)
    asked = argparse.ArgumentParser(
        prog="python -m benchmarks.prove",
        description=f"{__doc__}\nfaults:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    asked.add_argument("--kills", type=int, default=20, help="kill -9 that must hit, in all")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--faults", type=lambda text: text.split(","), default=["all"], help="only these, and no kills")
    asked.add_argument("--times", type=int, help="trials of each fault; one for 50 kills where nothing is said")
    asked.add_argument("--since", type=int, default=0, help="the first trial of the seed")
    asked.add_argument("--minutes", type=float, help="begin nothing after that")
    asked.add_argument("--into", type=Path, help="a file that sums up the results of all slices")
    asked.add_argument("--log", choices=("log", "kafka", "both"), default="both", help="of the kills")
    asked.add_argument("--clock", choices=("replay", "live", "both"), default="both", help="of the kills")
    asked.add_argument("--pace", type=float, default=30.0, help="events a second, on the replay clock")
    asked.add_argument("--kills-a-proof", type=int, default=KILLS_A_PROOF_MAX, help="before it is judged")
    asked.add_argument("--keep", type=Path, help="a folder for data and logs, which stay there")
    found = asked.parse_args()
    found.times = found.times if found.times is not None else max(1, found.kills // 50)
    unknown = set(found.faults) - {fault.name for fault in FAULTS} - {"all", "", OUTAGE}
    if unknown:
        asked.error(f"there is no fault {', '.join(sorted(unknown))}; see --help")
    return found


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
    end_in_order()
    sys.exit(main())
