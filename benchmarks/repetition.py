"""One repetition: a load is appended, the processes are watched meanwhile, and what became of it is read afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.figures import percentile
from benchmarks.histograms import Histogram
from benchmarks.live import Live, Use
from benchmarks.load.generator import CLICKS, Generator, Sent
from benchmarks.load.plans import Plan
from benchmarks.watch import SETTLE_SECONDS_MAX, Seen, Watch
from config.settings import Settings

SAMPLE_SECONDS = 0.25
BEHIND_MS, BEHIND_SHARE = 1000, 0.01  # so many so long after the load has ended, and it was more than could be carried


@dataclass(frozen=True)
class Sample:
    """What each process had used at a moment, in seconds from where the measurement begins."""

    at: float
    uses: dict[str, Use]


@dataclass(frozen=True)
class Repetition:
    """`knows_mails`: whether the plan knew how many mails there would be, so that missing ones can be told."""

    sent: Sent
    seen: Seen
    samples: list[Sample]
    knows_mails: bool = True

    @property
    def accepted(self) -> list[float]:
        return [took for _, took in self.seen.accepted]

    @property
    def decided(self) -> list[float]:
        return [took for _, took in self.seen.decided]

    @property
    def accepted_histogram(self) -> Histogram:
        return Histogram(self.accepted)

    def share_of_a_core(self, process: str) -> float:
        """While it was measured."""
        first, last = self._window
        spent = last.uses[process].cpu_seconds - first.uses[process].cpu_seconds
        return spent / max(0.001, last.at - first.at)

    def cpu_microseconds_an_event(self, kind: str) -> float:
        """Of all `worker`s or `courier`s, while it was measured."""
        first, last = self._window
        names = [name for name in last.uses if name.startswith(kind)]
        spent = sum(last.uses[name].cpu_seconds - first.uses[name].cpu_seconds for name in names)
        share = (last.at - first.at) / self.sent.seconds
        return 1e6 * spent / max(1.0, share * self.sent.appended)

    def rss_mib_max(self, kind: str) -> float:
        """Of all of them together."""
        return sum(use.rss_mib_max for name, use in self.samples[-1].uses.items() if name.startswith(kind))

    @property
    def _window(self) -> tuple[Sample, Sample]:
        inside = [sample for sample in self.samples if 0 <= sample.at <= self.sent.seconds]
        return (inside[0], inside[-1]) if len(inside) > 1 else (self.samples[0], self.samples[-1])

    @property
    def behind(self) -> int:
        """How many were done long after the load had ended: mails, or decisions where there are no mails."""
        ended = self.sent.began_ms + 1000 * self.sent.seconds
        return sum(due + took > ended + BEHIND_MS for due, took in self._done)

    @property
    def was_behind(self) -> bool:
        return self.behind > BEHIND_SHARE * len(self._done)

    @property
    def _done(self) -> list[tuple[int, float]]:
        return self.seen.accepted or self.seen.decided

    def warnings(self) -> Iterator[str]:
        """Where the load was not what it should have been, or mails are missing."""
        yield from self.sent.warnings()
        missing = self.sent.mails - len(self.seen.accepted)
        if self.knows_mails and missing > 0:
            others = "percentiles are of the others" if self.seen.accepted else "there are no latencies of mails"
            yield f"of {self.sent.mails:,} mails {missing:,} were not accepted in time: {others}"
        if not self.knows_mails and not self.seen.accepted:
            yield "no event led to a mail at once: there are no latencies of mails"
        if self.seen.refused:
            yield f"{self.seen.refused:,} tries to send a mail did not end with its being accepted"
        if self.was_behind:
            yield (
                f"Impuls was behind: {self.behind:,} of {len(self._done):,} were done over a second after the load had "
                "ended. It was more than can be carried here, and how late it gets depends on how long the run is"
            )
        if self.seen.repeated:
            yield f"{self.seen.repeated:,} mails were accepted twice"

    def p(self, share: float) -> float:
        """Of append → accepted, by nearest rank.  Raises where no mail was accepted."""
        return percentile(self.accepted, share)


def repeat(
    settings: Settings,
    plan: Plan,
    live: Live | None,
    *,
    topic: str = CLICKS,
    knows_mails: bool = True,
    meanwhile: Callable[[float], None] | None = None,
    settled: bool = True,
    of: str = "",
    seconds_max: float = SETTLE_SECONDS_MAX,
) -> Repetition:
    """Append this load to a deployment that is ready, watch, and wait for what follows.

    `live` is None where Impuls is somebody else's: then nothing is known of its processes.  `meanwhile` is called again
    and again with the seconds since the measurement began.  `settled`: begin when nothing is on its way any more, and
    not already when all that was appended has been read.  `of`: the flow whose messages are timed.
    """
    watch = Watch(settings, topic, of=of)
    samples: list[Sample] = []
    with Generator(settings, plan, topic) as generator:
        if live is not None:
            live.settle() if settled else live.await_end(SETTLE_SECONDS_MAX)
        began = generator.go()
        while not generator.is_done:
            if live is not None:
                samples.append(_sample(live, began))
            if meanwhile is not None:
                meanwhile(time.time() - began / 1000)
            time.sleep(SAMPLE_SECONDS)
        sent = generator.sent()
    until = began + round(1000 * plan.seconds)
    seen = watch.see(began, until, sent.mails if knows_mails else None, seconds_max)
    if live is not None:
        samples.append(_sample(live, began))
    return Repetition(sent, seen, samples, knows_mails)


def _sample(live: Live, began_ms: int) -> Sample:
    return Sample(time.time() - began_ms / 1000, {name: live.use(name) for name in live.processes})
