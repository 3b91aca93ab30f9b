"""What the parts of the suite share: how much of everything, a deployment to measure, and what they give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.figures import median
from benchmarks.live import Live, Setup
from benchmarks.load.plans import Load
from benchmarks.load.workloads import Workload, workload
from benchmarks.repetition import Repetition, repeat
from benchmarks.reports.report import Curve, Measure

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Scale:
    """How much of everything: enough to mean something, or (`TINY`) to try the harness."""

    customers: int = 50_000
    burst: int = 15_000  # events that are appended at once to find what can be worked off
    seconds: float = 5.0
    warm_seconds: float = 1.0
    repetitions: int = 3
    state_mib: int = 1024
    fill: int = 150_000  # events that processes work off
    outage_seconds: float = 10.0
    spike_seconds: float = 20.0
    rate_max: float = 20_000.0
    peer_customers: int = 50_000
    peer_rounds: int = 1  # `python -m benchmarks.peers` makes three
    waiting: int = 15_000  # customers who hear of one product: some more than do so while the others are timed


SHORT = Scale()
TINY = Scale(
    customers=300,
    burst=500,
    seconds=1.0,
    warm_seconds=0.5,
    repetitions=1,
    state_mib=1,
    fill=3_000,
    outage_seconds=2.0,
    spike_seconds=4.0,
    rate_max=200.0,
    peer_customers=200,
    peer_rounds=1,
    waiting=600,
)


@dataclass
class Gathered:
    """What a part of the suite found: measures and curves for the report, and what a reader must know beside them."""

    measures: list[Measure] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def __iadd__(self, other: Gathered) -> Gathered:
        self.measures += other.measures
        self.curves += other.curves
        self.warnings += other.warnings
        return self

    def value(self, name: str) -> float | None:
        """The median of a measure; None where it was not measured."""
        return next((each.median for each in self.measures if each.name == name), None)


@dataclass(frozen=True)
class Stage:
    """Where a part plays: its folder, the mail server's port, how much, and whom to tell."""

    folder: Path
    smtp_port: int
    scale: Scale
    tell: Tell

    def setup(
        self, name: str, *, workers: int = 1, port: int | None = None, altered: Mapping[str, str] | None = None
    ) -> Setup:
        return Setup(self.folder / name, port or self.smtp_port, altered or {}, workers=workers)

    def load(self, rate: float, run: str, *, of: str | Workload = "steady", seconds: float | None = None) -> Load:
        scale = self.scale
        chosen = workload(of) if isinstance(of, str) else of
        return Load(
            chosen, min(rate, scale.rate_max), scale.customers, seconds or scale.seconds, scale.warm_seconds, run=run
        )

    def times(self, live: Live, load: Load, *, settled: bool = True, of: str = "") -> list[Repetition]:
        """This load as often as the scale says, one after the other on one deployment, as `repeat` does it."""
        done = []
        for number in range(1, self.scale.repetitions + 1):
            again = replace(load, seed=number, run=f"{load.run}-{number}")
            done.append(repeat(live.settings, again, live, settled=settled, of=of))
            self.told(done[-1])
        return done

    def told(self, done: Repetition) -> None:
        text = f"    {done.sent.appended / done.sent.seconds:,.0f} events a second, {len(done.accepted):,} mails"
        if done.accepted:
            text += (
                f": p50 {done.p(0.5):.1f}, p99 {done.p(0.99):.1f}, p99.9 {done.p(0.999):.1f}, max {done.p(1):.1f} ms"
            )
        self.tell(text)
        for warning in done.warnings():
            self.tell(f"      {warning}")


def doubts(part: str, repetitions: list[Repetition]) -> list[str]:
    return [f"{part}: {warning}" for each in repetitions for warning in each.warnings()]


def percentile_measures(
    prefix: str, says: str, repetitions: list[Repetition], goals: Mapping[str, float] | None = None
) -> Iterator[Measure]:
    """p50, p99, p99.9 and the greatest of append → accepted."""
    for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)):
        values = [each.p(share) for each in repetitions if each.accepted]
        if values:
            yield Measure(
                name=f"{prefix}_{name}_ms",
                says=f"{says}, {name.replace('p999', 'p99.9')}",
                unit="ms",
                values=values,
                goal=(goals or {}).get(name),
                judged=name in ("p50", "p99"),
            )


def ratio_of_p99(numerator: list[Repetition], denominator: list[Repetition]) -> float:
    """Of the medians of the repetitions' p99."""
    return median([each.p(0.99) for each in numerator if each.accepted]) / median(
        [each.p(0.99) for each in denominator if each.accepted]
    )
