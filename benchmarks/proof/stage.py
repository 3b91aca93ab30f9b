"""Where faults are tried: one deployment that is harmed again and again, its mail server, its log and its clock."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from benchmarks.proof.broker import Broker
from benchmarks.proof.crowd import CLICKS, Appended
from benchmarks.proof.deployment import Deployment, Failed, Plan
from benchmarks.proof.feed import FLUSH_SECONDS_MAX
from benchmarks.proof.mail_server import MailServer
from benchmarks.proof.registry import Fault
from benchmarks.proof.tail import Tail
from benchmarks.proof.trial import Trial
from flows import worker_doors as doors
from state.instants import parse_instant

REPLAY_START = parse_instant("2016-01-01T07:00:00Z")  # so that there are years for trials, each of some days
SMALL = Plan("log", "replay", shards=8, partitions=4, smtp_timeout_seconds=2.0)
PLANS: dict[str, Plan] = {
    "log": SMALL,
    "alone": replace(SMALL, workers=1, couriers=1),
    "kafka": replace(SMALL, log="kafka"),
}
"""The stages there are."""


class NotHere(RuntimeError):
    """What a stage needs is not on this machine."""


@dataclass
class Stage:
    """`offset` is how far the processes' clocks are ahead of the machine's, in seconds."""

    name: str
    folder: Path
    deployment: Deployment
    mail: MailServer
    broker: Broker | None = None
    offset: float = 0.0
    next_start: int = REPLAY_START
    courier_kills: list[float] = field(default_factory=list)
    mail_frozen: list[tuple[float, float]] = field(default_factory=list)
    known: set[str] = field(default_factory=set)  # the ids of all messages so far
    _numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.decisions = Tail(self.deployment, "decisions")
        self.deliveries = Tail(self.deployment, "deliveries")

    @property
    def is_live(self) -> bool:
        return self.deployment.plan.clock == "live"

    def now(self) -> float:
        """Seconds since 1970, as the processes have it."""
        return time.time() + self.offset

    def number(self) -> int:
        """Never the same twice."""
        return next(self._numbers)

    def step(self, milliseconds: int) -> None:
        raise Failed(f"stage {self.name}: nobody can set its clock")

    def begin_anew(self) -> None:
        """The log was put back: what was read of it holds no longer."""
        self.decisions.begin_anew()
        self.deliveries.begin_anew()

    def append(self, events: Iterable[Appended]) -> None:
        """Into the log, one by one."""
        rows = [(each.customer.encode(), json.dumps(each.event).encode()) for each in events]
        self.append_raw(CLICKS, rows)

    def append_raw(self, topic: str, rows: Iterable[tuple[bytes | None, bytes]]) -> None:
        writer = doors.open_writer(self.deployment.settings)
        try:
            for key, value in rows:
                while not writer.send(topic, key, value):
                    time.sleep(0.01)
                if not writer.flush(FLUSH_SECONDS_MAX):
                    raise Failed("the log did not take a record")
        finally:
            writer.close()

    def close(self) -> None:
        self.decisions.close()
        self.deliveries.close()
        self.deployment.end()
        self.mail.close()

    def try_once(self, fault: Fault, seed: int) -> Trial:
        """One trial, judged.  Raises `Failed` where it could not be made; the stage is of no more use then."""
        trial = Trial(self, fault.name, seed)
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
        mail = MailServer(folder / "mails.jsonl")
        made = Stage(name, folder, Deployment(folder, plan, mail.port), mail, broker)
        around.callback(made.close)
        made.deployment.start()
        yield made
