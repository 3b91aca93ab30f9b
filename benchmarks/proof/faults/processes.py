"""Processes that die, are told to stop again and again, become more or fewer, and find their shards as once."""

from __future__ import annotations

import signal
from pathlib import Path

from benchmarks.proof.deployment import Failed
from benchmarks.proof.registry import Fault
from benchmarks.proof.trial import Trial

DRAIN_SECONDS_MAX = 25.0  # of a machine that has other work
AS_EVER = "every decision is the oracle's, once; every mail accepted, once but for calls in flight"


def kill(trial: Trial) -> None:
    trial.pause(0.3, 2.0)
    trial.kill(trial.chance.choice(trial.deployment.names))
    trial.deployment.await_ready()
    trial.pause(0.2, 0.8)


def kill_while_it_recovers(trial: Trial) -> None:
    deployment = trial.deployment
    trial.pause(0.3, 1.0)
    name = trial.chance.choice(deployment.names)
    trial.kill(name)
    for _ in range(trial.chance.randint(1, 3)):
        deployment.wait(lambda: name in deployment.pids(), 60, f"back with {name}")
        trial.pause(0.0, 1.2)  # somewhere between its first line of Python and its readiness
        trial.notes["not_ready_yet"] += int(not deployment.ready)
        trial.kill(name)
    deployment.await_ready()
    trial.pause(0.2, 0.5)


def kill_everything(trial: Trial) -> None:
    trial.pause(0.5, 2.0)
    trial.end()
    trial.pause(0.0, 0.3)
    trial.deployment.launch()
    if trial.chance.random() < 0.5:
        trial.pause(0.0, 1.5)
        trial.end()
        trial.deployment.launch()
    trial.deployment.await_ready()
    trial.pause(0.2, 0.5)


def storm_of_sigterms(trial: Trial) -> None:
    deployment = trial.deployment
    trial.pause(0.3, 1.0)
    pids = deployment.pids()
    for _ in range(trial.chance.randint(1, 4)):  # to the children, who drain and are started again
        name = trial.chance.choice(sorted(pids))
        deployment.signal_child(pids[name], signal.SIGTERM)
        trial.pause(0.0, 0.4)
        pids = deployment.pids() or pids
    for _ in range(trial.chance.randint(1, 4)):  # to all, more than once
        deployment.tell(trial.chance.choice((signal.SIGTERM, signal.SIGINT)))
        trial.pause(0.0, 0.1)
    stopped = deployment.stop()
    hold = trial.verdict.hold
    hold("SIGTERM ends in exit 0", [f"exit {stopped.code}"] if stopped.code else [])
    hold("SIGTERM ends within seconds", [f"{stopped.seconds:.1f} s"] if stopped.seconds > DRAIN_SECONDS_MAX else [])
    deployment.start()
    trial.pause(0.2, 0.5)


def other_numbers_of_workers(trial: Trial) -> None:
    """1 → 3 → 2"""
    for workers in (1, 3, 2):
        trial.pause(0.2, 0.6)
        if trial.chance.random() < 0.5:
            stopped = trial.deployment.stop()
            trial.verdict.hold("SIGTERM ends in exit 0", [f"exit {stopped.code}"] if stopped.code else [])
        else:
            trial.end()
        trial.deployment.start(workers=workers)
    trial.pause(0.2, 0.5)


def shards_as_they_were(trial: Trial) -> None:
    deployment = trial.deployment
    trial.rewound = True
    trial.pause(0.3, 1.0)
    deployment.stop()
    numbers = deployment.copy_shards(trial.chance, trial.chance.randint(1, 3))
    deployment.start()
    trial.pause(0.5, 1.5)
    deployment.stop()
    deployment.put_back(numbers)
    deployment.start()
    trial.pause(0.2, 0.5)


def shards_without_their_tails(trial: Trial) -> None:
    """As a machine leaves them that lost its power: the end of what was written last is gone."""
    deployment = trial.deployment
    trial.rewound = True
    trial.pause(0.8, 2.0)
    trial.end()
    cut = 0
    for number in trial.chance.sample(range(deployment.plan.shards), trial.chance.randint(1, 4)):
        path = newest(deployment.shard(number), "*.log")
        size = path.stat().st_size
        if size:
            cut += 1
            with path.open("r+b") as opened:
                opened.truncate(size - trial.chance.randint(1, min(size, 20_000)))
    trial.notes["shards_cut"] += cut
    deployment.start()
    trial.pause(0.2, 0.5)


def newest(folder: Path, pattern: str) -> Path:
    """The file of this kind that was begun last.  Raises `Failed` where there is none."""
    found = sorted(folder.glob(pattern))
    if not found:
        raise Failed(f"{folder}: nothing like {pattern}")
    return found[-1]


FAULTS = [
    Fault("kill", "kill -9 of a worker or a courier under work", AS_EVER, "log", kill),
    Fault("kill-alone", "the same where there is one worker and one courier", AS_EVER, "alone", kill),
    Fault(
        "kill-recovering",
        "kill -9 again, up to three times, before it is ready",
        AS_EVER,
        "log",
        kill_while_it_recovers,
    ),
    Fault("kill-all", "kill -9 of `impuls run`, with all its processes, and a start", AS_EVER, "log", kill_everything),
    Fault(
        "sigterm-storm",
        "SIGTERM and SIGINT again and again, to the processes and to `impuls run`",
        f"exit 0 within {DRAIN_SECONDS_MAX:.0f} s; {AS_EVER}",
        "log",
        storm_of_sigterms,
    ),
    Fault("rescale", "1 → 3 → 2 workers, politely or not", AS_EVER, "log", other_numbers_of_workers),
    Fault("old-shards", "shards put back from an older copy", AS_EVER, "log", shards_as_they_were),
    Fault("cut-shards", "the tails of shards' write-ahead logs cut", AS_EVER, "log", shards_without_their_tails, False),
]
