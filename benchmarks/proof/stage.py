"""Where faults are tried: one deployment that is harmed again and again, its mail server, its log and its clock."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from benchmarks.parked import Crowd as Parked
from benchmarks.parked import park
from benchmarks.proof.broker import Broker
from benchmarks.proof.crowd import Appended
from benchmarks.proof.deployment import Deployment, Failed, Plan
from benchmarks.proof.feed import append, append_rows
from benchmarks.proof.harm import Harm
from benchmarks.proof.mail_server import MailServer
from benchmarks.proof.registry import Fault
from benchmarks.proof.tail import Tail
from benchmarks.proof.trial import Trial
from state.instants import parse_instant

REPLAY_START = parse_instant("2000-01-02T07:00:00Z")  # so that there are years for trials, each of half a year
REPLAY_END = parse_instant("2025-06-01T00:00:00Z")
SMALL = Plan("log", "replay", shards=8, partitions=4, smtp_timeout_seconds=2.0)
WAITING = Plan("log", "live", shards=16, partitions=4, flows="benchmarks.proof.flows_told", parked=100_000)
PLANS: dict[str, Plan] = {
    "log": SMALL,
    "alone": replace(SMALL, workers=1, couriers=1),
    "hot": SMALL,
    "kafka": replace(SMALL, log="kafka"),
    "power": replace(SMALL, durability="power"),
    "live": replace(SMALL, clock="live", environment={"TZ": "Europe/Warsaw"}),
    "full": SMALL,
    "waiting": WAITING,
    "few-waiting": replace(WAITING, parked=3_000),
}
"""The stages there are."""
HARMED = ("power", "live")  # those whose machine does harm
SMALL_DISK = ("full",)
SMALL_DISK_BYTES = 512 << 20


class NotHere(RuntimeError):
    """What a stage needs is not on this machine."""


@dataclass
class Stage:
    """`harm` is what their machine does to the processes, where it does."""

    name: str
    folder: Path
    deployment: Deployment
    mail: MailServer
    broker: Broker | None = None
    harm: Harm | None = None
    next_start: int = REPLAY_START
    courier_kills: list[float] = field(default_factory=list)
    mail_frozen: list[tuple[float, float]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.decisions = Tail(self.deployment, "decisions")
        self.deliveries = Tail(self.deployment, "deliveries")

    @property
    def is_live(self) -> bool:
        return self.deployment.plan.clock == "live"

    @property
    def offset(self) -> float:
        """How far the processes' clocks are ahead of the machine's, in seconds."""
        return self.harm.ahead if self.harm is not None else 0.0

    def now(self) -> float:
        """Seconds since 1970, as the processes have it."""
        return time.time() + self.offset

    @property
    def is_used_up(self) -> bool:
        """Whether another trial would reach into the future."""
        return not self.is_live and self.next_start > REPLAY_END

    def number(self) -> int:
        """Never the same twice."""
        return next(self._numbers)

    def step(self, milliseconds: int) -> None:
        """Set the processes' clocks ahead."""
        if self.harm is None:
            raise Failed(f"stage {self.name}: nobody can set its clock")
        self.harm.ahead += milliseconds / 1000

    def read_on(self) -> None:
        """Take in what the log has by now."""
        self.decisions.read()
        self.deliveries.read()

    def begin_anew(self) -> None:
        """The log was put back: what was read of it holds no longer."""
        self.decisions.begin_anew()
        self.deliveries.begin_anew()

    def append(self, events: Iterable[Appended]) -> None:
        """Into the log, one by one."""
        append(self.deployment, events)

    def append_raw(self, topic: str, rows: Iterable[tuple[bytes | None, bytes]]) -> None:
        append_rows(self.deployment, ((topic, *row) for row in rows))

    def close(self) -> None:
        self.decisions.close()
        self.deliveries.close()
        self.deployment.end()
        self.mail.close()

    def try_once(self, fault: Fault, seed: int) -> Trial:
        """One trial, judged.  Raises `Failed` where it could not be made; the stage is of no more use then."""
        trial = Trial(self, fault.name, seed, has_news=fault.has_news)
        trial.start_load()
        try:
            fault.strike(trial)
        finally:
            trial.stop_load()
        if trial.is_judged:
            return trial
        self.deployment.await_ready()
        trial.play_out()
        if not trial.settle():
            trial.notes["not_settled"] += 1
        trial.judge()
        return trial


@contextmanager
def stage(name: str, folder: Path) -> Iterator[Stage]:
    """A stage of this name, ready.  Raises `NotHere` where there can be none."""
    plan = PLANS[name]
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as around:
        broker = None
        if plan.log == "kafka":
            try:
                broker = around.enter_context(Broker.running())
            except (Failed, OSError) as error:
                raise NotHere(f"no Kafka: {error}") from error
            plan = replace(plan, servers=broker.servers, proxied=broker.proxied)
        harm = None
        if name in HARMED:
            try:
                harm = Harm(folder)
            except Failed as error:
                raise NotHere(str(error)) from error
            plan = replace(plan, environment={**plan.environment, **harm.environment})
        if name in SMALL_DISK:
            around.enter_context(_small_disk(folder / "data"))
        mail = MailServer(folder / "mails.jsonl")
        wall = time.time if harm is None else lambda: time.time() + harm.ahead
        made = Stage(name, folder, Deployment(folder, plan, mail.port, wall=wall), mail, broker, harm)
        around.callback(made.close)
        if harm is not None:
            harm.trust(made.deployment.settings.data_dir)
        if plan.parked:
            park(made.deployment.settings, Parked(plan.parked, 0, round(made.now() * 1000)))
        made.deployment.start()
        yield made


@contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    """A disk of its own for this folder, in memory; which takes the right to mount one."""
    folder.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES},mode=700", "proof", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NotHere(f"no disk of its own: {error}") from error
    if done.returncode:
        raise NotHere(f"no disk of its own: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)
