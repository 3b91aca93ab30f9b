"""Bytes that are not as they were written: flipped, torn off or gone, in every kind of file a deployment has.

Refused with a message that names a place and a way out, or repaired, or of no consequence; never silently wrong.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.proof.deployment import Failed
from benchmarks.proof.registry import Fault
from benchmarks.proof.trial import Trial
from flows.worker_stops import stop_flows

LOOK_SECONDS_MAX = 60.0
SETTLE_SECONDS = 30.0
WAYS_OUT = (
    "backup",
    "put ",
    "delete the file",
    "rm -r",
    "remove the file",
    "start the newer",
    "name another",
    "restore",
)
ALARMS = ("cannot append", "cannot start", "died")
OUTCOME = "refused, or named while all else goes on, with place and way out; or repaired; never silently wrong"


@dataclass(frozen=True)
class Damage:
    """Where and how a file was harmed, so that it can be undone."""

    path: Path
    what: str
    before: bytes
    after: bytes | None  # None: it is gone

    def undo(self) -> None:
        """Put back what was there, in place, where it was neither mended nor missed; what was appended since stays."""
        if not self.path.exists():
            if "topics" in self.path.parts and self.path.suffix == ".log":
                self.path.write_bytes(self.before)
            return
        if self.after is None:
            return
        now = self.path.read_bytes()
        if now == self.after or (len(self.after) == len(self.before) and now.startswith(self.after)):
            with self.path.open("r+b") as opened:
                opened.write(self.before)


def harm(trial: Trial, path: Path) -> Damage:
    """Flip a bit, tear off the end, write zeros over a part, or take the file away."""
    chance, before = trial.chance, path.read_bytes()
    raw = bytearray(before)
    how = chance.choice(("flip", "flip", "tear", "tear", "zeros", "gone")) if before else "gone"
    if how == "gone":
        path.unlink()
        return Damage(path, "gone", before, None)
    place = chance.randrange(len(raw))
    if how == "flip":
        raw[place] ^= 1 << chance.randrange(8)
    elif how == "tear":
        del raw[place:]
    else:
        length = min(len(raw) - place, chance.randint(1, 600))
        raw[place : place + length] = bytes(length)
    path.write_bytes(raw)
    return Damage(path, how, before, bytes(raw))


def damaged(pattern: str) -> Callable[[Trial], None]:
    """Of the files that are like this in the data folder (`secret` lies beside it), one is harmed while all stands."""

    def strike(trial: Trial) -> None:
        trial.pause(0.8, 1.5)
        trial.stop_load()
        if trial.chance.random() < 0.5:
            trial.deployment.stop()
        else:
            trial.end()
        stop_flows(trial.deployment.settings.data_dir, ["no_such_flow"])
        files = _files(trial, pattern)
        if not files:
            raise Failed(f"there is no file like {pattern}")
        _keep(trial)
        damage = harm(trial, trial.chance.choice(files))
        _see(trial, damage)

    return strike


def _files(trial: Trial, pattern: str) -> list[Path]:
    folder = trial.deployment.folder if pattern == "secret" else trial.deployment.settings.data_dir
    found = [path for path in sorted(folder.glob(pattern)) if path.is_file()]
    return [path for path in found if path.stat().st_size] or found


def _see(trial: Trial, damage: Damage) -> None:
    """Start, and look what comes of it."""
    deployment = trial.deployment
    place = deployment.said.stat().st_size
    deployment.launch()
    refused = ""
    if _starts(trial):
        trial.play_out()
        if trial.settle(SETTLE_SECONDS):
            trial.excused = damage.path.is_relative_to(deployment.settings.data_dir / "log")
            try:
                trial.judge()
            except Failed as error:
                refused = str(error)  # no worker has looked there: a command that reads everything does
            else:
                trial.notes[_repaired(damage)] += 1
                damage.undo()  # or the next trial would have two
                trial.is_judged = True
                return
    told = _told(trial, damage, [refused, *map(str, deployment.said_since(place))])
    trial.notes["refused" if told else "silent"] += 1
    trial.verdict.hold(
        "damage is named, with its place and the way out", [] if told else [f"{damage.what}: {_short(trial, damage)}"]
    )
    deployment.end()
    _restore(trial)
    deployment.start()


def _starts(trial: Trial) -> bool:
    """Whether it gets ready; it may also end, or be started again and again by its supervisor."""
    deadline = time.monotonic() + LOOK_SECONDS_MAX
    while time.monotonic() < deadline:
        if not trial.deployment.is_running:
            return False
        if trial.deployment.ready:
            return True
        time.sleep(0.1)
    return False


def _repaired(damage: Damage) -> str:
    if not damage.path.exists():
        return "done_without"
    return "no_consequence" if damage.path.read_bytes() == damage.after else "repaired"


def _told(trial: Trial, damage: Damage, said: Iterable[str]) -> bool:
    """Whether something named the file (or the folder it is of) and said what to do."""
    root = trial.deployment.folder
    names = {str(damage.path), str(damage.path.parent)} - {str(root), str(trial.deployment.settings.data_dir)}
    return any(any(name in text for name in names) and any(way in text.lower() for way in WAYS_OUT) for text in said)


def _short(trial: Trial, damage: Damage) -> str:
    return str(damage.path.relative_to(trial.deployment.folder))


def _keep(trial: Trial) -> None:
    """A copy of everything, as it is while nothing runs."""
    aside = trial.deployment.folder / "whole"
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(trial.deployment.settings.data_dir, aside, ignore=shutil.ignore_patterns("bells"))
    shutil.copy(trial.deployment.settings.secret_file, trial.deployment.folder / "secret.whole")


def _restore(trial: Trial) -> None:
    """Everything as it was.  What couriers told meanwhile is gone with it, so they may send again."""
    deployment = trial.deployment
    trial.excused = True
    shutil.rmtree(deployment.settings.data_dir)
    shutil.move(deployment.folder / "whole", deployment.settings.data_dir)
    shutil.copy(deployment.folder / "secret.whole", deployment.settings.secret_file)
    trial.stage.begin_anew()


KINDS = {
    "log-segment": ("log/topics/clickstream/*/*.log", "a segment of the embedded log with events"),
    "log-messages": ("log/topics/messages/*/*.log", "a segment of messages"),
    "log-deliveries": ("log/topics/deliveries/*/*.log", "a segment of deliveries"),
    "log-head": ("log/topics/*/*/head", "a partition's head"),
    "log-topic": ("log/topics/*/topic.json", "a topic's description"),
    "log-commits": ("log/groups/*/*", "how far a group has read"),
    "shard-wal": ("shards/*/*.log", "a shard's write-ahead log"),
    "shard-sst": ("shards/*/*.sst", "a shard's table file"),
    "shard-manifest": ("shards/*/MANIFEST-*", "a shard's manifest"),
    "shard-current": ("shards/*/CURRENT", "a shard's CURRENT"),
    "shard-options": ("shards/*/OPTIONS-*", "a shard's options file"),
    "keys": ("keys/[0-9]*/*", "a file of a shard's key store"),
    "keyring": ("keyring", "the key ring"),
    "identity": ("identity.json", "the identity record"),
    "made": ("made/*", "the note that a shard was made"),
    "origins": ("origins.json", "where the partitions began"),
    "run": ("run/*", "what processes tell of themselves"),
    "stopped-flows": ("stopped-flows.json", "which flows an operator stopped"),
    "secret": ("secret", "the deployment's secret"),
}

FAULTS = [
    Fault(f"damage-{name}", f"{what}: a bit flipped, torn off, zeros, or gone", OUTCOME, "log", damaged(pattern))
    for name, (pattern, what) in KINDS.items()
]
