"""What `impuls-bench run` was asked for, and doing it: target, mail server, repetitions, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import number as shown
from benchmarks.live import Live, Setup, data_folder
from benchmarks.load.generator import CLICKS
from benchmarks.load.plans import Load
from benchmarks.load.recordings import Recording
from benchmarks.load.workloads import Workload
from benchmarks.parked import Crowd, park
from benchmarks.repetition import Repetition, repeat
from benchmarks.reports.report import Report
from benchmarks.runs import Told, report
from benchmarks.sink import Sink
from benchmarks.targets import Kind, Target, make_topics, open_target, settings_of_others
from config.settings import Settings

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """`rate`: events a second, the workload's own when None.  `mail`: host and port of one's own mail server.

    With a `file` that is what is played, `speed` times as fast, and rate, customers and seed do not matter.
    """

    workload: Workload
    rate: float | None = None
    customers: int = 10_000
    parked: bool = False
    seconds: float = 20.0
    warm_seconds: float = 5.0
    repeat: int = 5
    workers: int = 1
    couriers: int = 1
    seed: int = 1
    target: Kind = "log"
    servers: str | None = None
    start: bool = True
    config: Path | None = None
    altered: dict[str, str] = field(default_factory=dict)
    mail: tuple[str, int] | None = None
    file: Path | None = None
    speed: float = 1.0
    topic: str = CLICKS

    @property
    def pace(self) -> float:
        return self.rate if self.rate is not None else self.workload.rate

    def plan(self, run: str, number: int) -> Load | Recording:
        if self.file is not None:
            return Recording(self.file, self.speed, self.seconds, self.warm_seconds, f"{run}-{number}")
        return Load(
            workload=self.workload,
            rate=self.pace,
            customers=self.customers,
            seconds=self.seconds,
            warm_seconds=self.warm_seconds,
            seed=self.seed + number,
            run=f"{run}-{number}",
        )


def measure(asked: Asked, tell: Tell) -> Report:
    """Run it all.  Raises `NotTaken`, `NotReady`, `GeneratorFailed` or `ConfigError`."""
    run = f"b{round(time.time()):x}"
    with ExitStack() as opened:
        target = opened.enter_context(open_target(asked.target, asked.servers, run, start=asked.start))
        tell(f"{asked.workload.name}: {_pace(asked)}, {target.says}")
        if target.is_ours:
            repetitions, mail = _of_ours(asked, target, run, opened, tell)
        else:
            repetitions, mail = _of_others(asked, target, run, tell), "that of the deployment"
    return report(_told(asked, target, mail), repetitions, list(_doubts(asked)), asked.workload.pace)


def _of_ours(asked: Asked, target: Target, run: str, opened: ExitStack, tell: Tell) -> tuple[list[Repetition], str]:
    folder = opened.enter_context(data_folder())
    if asked.mail is None:
        sink = opened.enter_context(Sink())
        (host, port), what = ("127.0.0.1", sink.port), f"{sink.what}, same machine"
    else:
        (host, port), what = asked.mail, f"{asked.mail[0]}:{asked.mail[1]}"
    setup = Setup(
        folder / "impuls", port, {**asked.altered, **target.altered}, asked.config, host, asked.workers, asked.couriers
    )
    settings = setup.write()
    make_topics(settings)
    if asked.parked:
        took = park(settings, Crowd(asked.customers, 0, round(time.time() * 1000)))
        tell(f"{asked.customers:,} customers parked in {took:.0f} s")
    repetitions = []
    for number in range(1, asked.repeat + 1):
        with Live(setup) as live:  # started anew, so that what differs from one start to the next is in the range
            repetitions.append(_repeat(asked, live.settings, run, number, live))
        tell_repetition(repetitions[-1], number, tell)
        if not live.ended_well:
            tell("  `impuls run` did not drain and end with 0")
    return repetitions, what


def _of_others(asked: Asked, target: Target, run: str, tell: Tell) -> list[Repetition]:
    settings: Settings = settings_of_others(asked.config, target)
    repetitions = []
    for number in range(1, asked.repeat + 1):
        repetitions.append(_repeat(asked, settings, run, number, None))
        tell_repetition(repetitions[-1], number, tell)
    return repetitions


def _repeat(asked: Asked, settings: Settings, run: str, number: int, live: Live | None) -> Repetition:
    plan = asked.plan(run, number)
    return repeat(settings, plan, live, topic=asked.topic, knows_mails=asked.file is None)


def tell_repetition(found: Repetition, number: int, tell: Tell) -> None:
    count = f"{found.sent.appended:,}"
    if found.sent.appended != found.sent.planned:
        count += f" of {found.sent.planned:,}"
    text = f"  {number}: {count} events in time, {len(found.accepted):,} mails"
    if found.accepted:
        text += f", accepted p50 {found.p(0.5):.1f} p99 {found.p(0.99):.1f} max {found.p(1.0):.1f} ms"
    tell(text)
    for warning in found.warnings():
        tell(f"     {warning}")


def _doubts(asked: Asked) -> Iterator[str]:
    if asked.repeat < 5:
        count = "one repetition" if asked.repeat == 1 else f"{asked.repeat} repetitions"
        yield f"{count}: a comparison needs five on each side to show that something differs"


def _told(asked: Asked, target: Target, mail: str) -> Told:
    settings = {
        "workload": f"{asked.workload.name}: {asked.workload.says}",
        **_what(asked),
        "log": target.says,
        "Impuls": f"{asked.workers} worker(s), {asked.couriers} courier(s), started anew for each repetition"
        if target.is_ours
        else "already running; its processes are not seen from here",
        "mail server": mail,
        "repetitions": f"{asked.repeat} of {asked.seconds:g} s, each after {asked.warm_seconds:g} s to warm up",
        "seed": str(asked.seed),
    }
    settings |= {f"setting {name}": value for name, value in asked.altered.items()}
    if asked.config is not None:
        settings["configuration"] = str(asked.config.name)
    return Told(f"{asked.workload.name} at {_pace(asked)}", asked.workload.says, settings)


def _pace(asked: Asked) -> str:
    return f"{asked.pace:,.10g} events a second" if asked.file is None else f"{asked.speed:g} times its own pace"


def _what(asked: Asked) -> dict[str, str]:
    if asked.file is not None:
        return {"recording": f"{asked.file.name}, at {_pace(asked)}"}
    return {
        "rate": f"{_pace(asked)}, one in {asked.workload.mix.mail_every} leads to a mail",
        "customers": f"{asked.customers:,}{', each parked at a wait beforehand' if asked.parked else ''}",
    }


def summary(found: Report) -> Iterator[str]:
    """The measures as lines: median, and the range of the repetitions; then what was not told of a repetition yet."""
    for each in found.measures:
        span = f" ({shown(min(each.values))} – {shown(max(each.values))})" if len(each.values) > 1 else ""
        yield f"  {each.says:<62}{shown(each.median):>8} {each.unit}{span}"
    yield from (f"  {warning}" for warning in found.warnings if not warning.startswith("repetition "))
