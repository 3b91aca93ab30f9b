"""A machine whose clock is wrong, whose disk is full or slow, or whose power fails."""

from __future__ import annotations

import os
import shutil
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from benchmarks.proof.deployment import Failed
from benchmarks.proof.harm import Harm
from benchmarks.proof.registry import Fault
from benchmarks.proof.trial import Trial
from flows import worker_doors as doors

HOUR_SECONDS = 3600.0
ORACLE = "every decision is the oracle's, once; every mail accepted once, but for calls in flight at a kill"
ONCE = "nothing is decided or sent twice, nothing stalls; who comes afterwards is decided about as the oracle says"
ZONE = ZoneInfo("Europe/Warsaw")
CHUNK = 1 << 20


def harm_of(trial: Trial) -> Harm:
    if trial.stage.harm is None:
        raise Failed("this stage has a machine that does no harm")
    return trial.stage.harm


def lose_power(trial: Trial) -> None:
    """With `durability = "power"`: what was never synced is gone."""
    deployment = trial.deployment
    for _ in range(trial.chance.randint(1, 2)):
        trial.pause(0.8, 2.5)
        trial.end()
        data, settings = deployment.settings.data_dir, deployment.settings
        events = [data / "log" / "topics" / name for name in doors.input_topics(settings)]  # written by the shop
        trial.notes["bytes_lost"] += harm_of(trial).cut_power(trial.chance, data, events)
        trial.stage.begin_anew()
        deployment.start()
    trial.pause(0.2, 0.5)


def stall(trial: Trial) -> None:
    trial.pause(0.5, 1.0)
    harm = harm_of(trial)
    harm.stall(trial.chance.choice((0.003, 0.02, 0.1)))
    trial.pause(2.0, 5.0)
    harm.stall(0.0)
    trial.pause(0.5, 1.0)


def step_the_clock(trial: Trial) -> None:
    """An hour ahead or back for seconds, then right again."""
    trial.pause(1.0, 2.0)
    harm = harm_of(trial)
    wrong = trial.chance.choice((HOUR_SECONDS, -HOUR_SECONDS))
    trial.notes["ahead" if wrong > 0 else "back"] += 1
    harm.ahead += wrong
    trial.pause(2.0, 4.0)
    harm.ahead -= wrong
    trial.begin_anew()
    trial.pause(2.0, 3.0)


def change_to_summer_time(trial: Trial) -> None:
    """Or back: the load is on while the clocks on the wall are changed."""
    trial.stop_load()
    trial.stage.read_on()  # months later retention may take it
    harm_of(trial).ahead += _seconds_to_change(trial.stage.now()) - 3.0
    trial.begin_anew()
    trial.pause(5.0, 7.0)


def _seconds_to_change(now: float) -> float:
    """Until the next change between summer and winter time."""
    at = datetime.fromtimestamp(now, ZONE).replace(minute=0, second=0, microsecond=0)
    at = datetime.fromtimestamp(at.timestamp(), ZONE)
    offset = at.utcoffset()
    while datetime.fromtimestamp(at.timestamp() + HOUR_SECONDS, ZONE).utcoffset() == offset:
        at = datetime.fromtimestamp(at.timestamp() + HOUR_SECONDS, ZONE)
    return at.timestamp() + HOUR_SECONDS - now


def fill_the_disk(trial: Trial) -> None:
    """Nothing is left for seconds; in half of the trials a process dies meanwhile."""
    trial.pause(0.5, 1.5)
    data = trial.deployment.settings.data_dir
    ballast = data / "ballast"
    _fill(ballast)
    try:
        trial.pause(1.0, 3.0)
        if trial.chance.random() < 0.5:
            trial.kill(trial.chance.choice(trial.deployment.names))
            trial.notes["killed_meanwhile"] += 1
            trial.pause(1.0, 3.0)
        trial.notes["bytes_left"] += shutil.disk_usage(data).free
    finally:
        ballast.unlink()
    trial.deployment.await_ready()
    trial.pause(0.5, 1.0)


def _fill(ballast: Path) -> None:
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT, 0o600)
    size = CHUNK
    try:
        while size:
            try:
                if os.write(descriptor, bytes(size)) < size:
                    size //= 2
            except OSError:
                size //= 2
    finally:
        os.close(descriptor)


FAULTS = [
    Fault("power-loss", 'what was never synced is lost, with durability = "power"', ORACLE, "power", lose_power, False),
    Fault("write-stall", "every write and sync takes 3 to 100 ms longer, for seconds", ORACLE, "power", stall),
    Fault("disk-full", "not a byte is left for seconds, at times with a kill meanwhile", ORACLE, "full", fill_the_disk),
    Fault("clock-step", "the wall clock an hour ahead or back for seconds", ONCE, "live", step_the_clock),
    Fault("summer-time", "the change to summer time or back under load", ONCE, "live", change_to_summer_time),
]
