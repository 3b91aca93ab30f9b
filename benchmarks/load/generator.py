"""An open loop: events are appended at the moments they are due, whatever the system does, by a process of its own.

What is late is appended as soon as may be and its wait counts, since latencies are counted from the moment it was due.
When the generator itself could not keep the rate it says so, and by how much.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from benchmarks.ending import spared
from benchmarks.histograms import Histogram
from benchmarks.load.plans import Plan, line
from config.settings import Settings
from flows import worker_doors as doors
from state.records import Writer

CLICKS = "clickstream"
LATE_MS = 50.0  # later than this and the load was not what it says
LATE_SHARE_MAX = 0.001
RATE_SHARE_MIN = 0.98
START_SECONDS_MAX = 120.0
OVERTIME = 2.0  # so many times as long as planned, and what is left is not appended
AHEAD_SECONDS = 0.2
FULL_SECONDS = 0.001


class GeneratorFailed(RuntimeError):
    """The generator ended early; the message says why."""


@dataclass(frozen=True)
class Sent:
    """What was appended after the warm-up.  `began_ms`: the wall time at which the measurement began.

    `behind`: how late each event was handed over.  `by_second`: planned and appended in each second of the measurement.
    """

    began_ms: int
    seconds: float
    planned: int
    appended: int
    mails: int
    late: int
    behind: str
    behind_ms_max: float
    ended_behind_ms: float
    unsent: int
    by_second: list[tuple[int, int]] = field(default_factory=list)

    @property
    def kept_its_rate(self) -> bool:
        return not list(self.warnings())

    def warnings(self) -> Iterator[str]:
        """Where the load was not what it should have been."""
        if not self.planned:
            yield "nothing was due after the warm-up: nothing was measured"
        elif self.unsent:
            yield (
                f"could not keep its rate: {self.unsent:,} of {self.planned:,} events were not appended at all, since "
                f"it was {self.ended_behind_ms / 1000:.1f} s behind at the end; they are in no percentile, so that "
                "the latencies are better than those of the load that was asked for"
            )
        elif self.late > self.planned * LATE_SHARE_MAX:
            yield (
                f"could not keep its rate: {self.late:,} of {self.planned:,} events were appended over {LATE_MS:.0f} "
                f"ms late, the worst {self.behind_ms_max:,.0f} ms, the last {self.ended_behind_ms:,.0f} ms; that is "
                "part of their latencies, which count from when they were due (no coordinated omission)"
            )
        elif self.appended < RATE_SHARE_MIN * self.planned:
            yield f"could not keep its rate: {self.appended:,} of {self.planned:,} events were appended in time"


class Generator:
    """Entered, it has told the log what must be known beforehand and waits for `go`; left early, it is ended."""

    def __init__(self, settings: Settings, plan: Plan, topic: str = CLICKS) -> None:
        context = multiprocessing.get_context("spawn")
        self._mine, theirs = context.Pipe()
        self._process = context.Process(target=_generate, args=(theirs, settings, plan, topic), daemon=True)

    def __enter__(self) -> Self:
        with spared():
            self._process.start()
        self._answer("ready")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process.is_alive():
            self._process.terminate()
        self._process.join(10)
        self._mine.close()

    def go(self) -> int:
        """Begin; the wall time in milliseconds at which the warm-up is over."""
        self._mine.send("go")
        began = self._answer("began")
        assert isinstance(began, int)
        return began

    @property
    def is_done(self) -> bool:
        return self._mine.poll() or not self._process.is_alive()

    def sent(self) -> Sent:
        """Wait for the end.  Raises `GeneratorFailed`."""
        found = self._answer("sent")
        assert isinstance(found, Sent)
        return found

    def _answer(self, awaited: str) -> object:
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._mine.poll(1.0):
            if not self._process.is_alive() and not self._mine.poll():
                raise GeneratorFailed(f"The generator of the load ended with {self._process.exitcode}.")
            if awaited != "sent" and time.monotonic() > deadline:
                raise GeneratorFailed(f"The generator of the load did not begin within {START_SECONDS_MAX:.0f} s.")
        told, what = self._mine.recv()
        if told != awaited:
            raise GeneratorFailed(f"The generator of the load ended: {what}")
        return what


def _generate(pipe: Connection, settings: Settings, plan: Plan, topic: str) -> None:
    try:
        writer = doors.open_writer(settings)
        _append_known(writer, topic, plan)
        if not writer.flush(START_SECONDS_MAX):
            raise GeneratorFailed("the log does not take what must be known beforehand")
        pipe.send(("ready", None))
        pipe.recv()
        began = time.time() + AHEAD_SECONDS + plan.warm_seconds
        pipe.send(("began", round(began * 1000)))
        found = generate(writer, topic, plan, round(began * 1000))
        writer.flush(START_SECONDS_MAX)
        writer.close()
        pipe.send(("sent", found))
    except Exception as error:
        pipe.send(("failed", f"{type(error).__name__}: {error}"))


def generate(writer: Writer, topic: str, plan: Plan, began_ms: int) -> Sent:
    """Append all of it, each at its time, where `began_ms` is the wall time of the plan's moment 0."""
    behind = Histogram()
    planned, appended = Counter[int](), Counter[int]()
    mails = late = unsent = in_time = 0
    worst = last = 0.0
    ahead = began_ms / 1000 - time.time() + time.perf_counter()  # a wall clock may be set; this one may not
    stop = ahead + OVERTIME * plan.seconds + 1
    for number, (at, who, body, leads_to_mail) in enumerate(plan):
        due = ahead + at / 1000
        now = time.perf_counter()
        while now < due:
            time.sleep(due - now)
            now = time.perf_counter()
        if at >= 0:
            planned[at // 1000] += 1
        if now > stop:
            unsent += at >= 0
            last = (now - due) * 1000
            continue
        _append(writer, topic, who, line(plan.run, number, body, began_ms + at))
        if at < 0:
            continue
        now = time.perf_counter()
        last = (now - due) * 1000
        behind.add(last)
        worst, late, mails = max(worst, last), late + (last > LATE_MS), mails + leads_to_mail
        appended[int(now - ahead)] += 1
        in_time += now - ahead <= plan.seconds + LATE_MS / 1000
    by_second = [(planned[n], appended[n]) for n in range(max([*planned, *appended], default=-1) + 1)]
    return Sent(
        began_ms=began_ms,
        seconds=plan.seconds,
        planned=planned.total(),
        appended=in_time,
        mails=mails,
        late=late,
        behind=str(behind),
        behind_ms_max=worst,
        ended_behind_ms=last,
        unsent=unsent,
        by_second=by_second,
    )


def rush(settings: Settings, plan: Plan, events: int, topic: str = CLICKS, *, known: bool = True) -> float:
    """Append so many of the plan as fast as the log takes them, as of now; how long that took.

    `known`: with what must be known beforehand.
    """
    writer = doors.open_writer(settings)
    if known:
        _append_known(writer, topic, plan)
    began = time.perf_counter()
    for number, planned in zip(range(events), plan, strict=False):
        _append(writer, topic, planned.who, line(plan.run, f"rush-{number}", planned.body, round(time.time() * 1000)))
    writer.flush(60)
    writer.close()
    return time.perf_counter() - began


def _append_known(writer: Writer, topic: str, plan: Plan) -> None:
    for number, (who, body) in enumerate(plan.before()):
        _append(writer, topic, who, line(plan.run, f"known-{number}", body, round(time.time() * 1000)))


def _append(writer: Writer, topic: str, who: str, value: bytes) -> None:
    while not writer.send(topic, who.encode(), value):
        time.sleep(FULL_SECONDS)
