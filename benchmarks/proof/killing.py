"""The proof by kill -9: a load that never rests, children killed at random instants, shards put back, polite stops.

In the end every decision is the oracle's, once, and every mail was accepted, once but for those in flight at a kill.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from heapq import merge
from operator import attrgetter
from pathlib import Path
from typing import Any

from benchmarks.proof.crowd import AHEAD_MS, DAYS, HOUR, MOMENTS, Appended, Crowd, last_word
from benchmarks.proof.deployment import Deployment, Failed, Plan, Stopped
from benchmarks.proof.feed import Feed, append
from benchmarks.proof.flows_proved import NAMES, turns
from benchmarks.proof.mail_server import MailServer
from benchmarks.proof.regulars import Regulars
from benchmarks.proof.verdict import Verdict, judge_decisions, judge_mails, withdrawn
from state.ids import Ids, shard_of
from state.instants import parse_instant
from state.secret import load_or_make
from tests.flows import oracle

START = parse_instant("2026-03-02T07:00:00Z")
LEAD_MS = 45_000  # live: how long after an event its reminder is due
AHEAD_OF_LOAD_MS = 5_000  # live: until those are known who wait for a product
NEWS_MS = 30_000  # from the first word of the catalogue to its last
LAG_MAX = 500
LATE_MS_MAX = 20_000  # live: an event must be there before the reminder that it could stop
PAUSE_SECONDS_MAX = 3.0
MISSES_MAX = 2  # for each kill that is to hit
SETTLE_SECONDS_MAX = 600.0
QUIET_SECONDS = 3.0
DRAIN_SECONDS_MAX = 25.0  # of a machine that has other work

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Kill:
    """One `kill -9`.  It hit when its victim was at work: the load was on, and a courier had just sent."""

    at: float
    name: str
    hit: bool


@dataclass
class Proof:
    """What was done and what came of it."""

    plan: Plan
    seed: int
    kills: list[Kill] = field(default_factory=list)
    stops: list[Stopped] = field(default_factory=list)
    shards_put_back: list[int] = field(default_factory=list)
    events: int = 0
    seconds: float = 0.0
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def hits(self) -> int:
        return sum(kill.hit for kill in self.kills)

    def as_json(self) -> dict[str, Any]:
        plan, verdict = self.plan, self.verdict
        return {
            "log": plan.log,
            "clock": plan.clock,
            "workers": plan.workers,
            "couriers": plan.couriers,
            "shards": plan.shards,
            "seed": self.seed,
            "kills": len(self.kills),
            "kills_that_hit": self.hits,
            "workers_hit": sum(kill.hit for kill in self.kills if kill.name.startswith("worker")),
            "couriers_hit": sum(kill.hit for kill in self.kills if kill.name.startswith("courier")),
            "shards_put_back": self.shards_put_back,
            "polite_stops": len(self.stops),
            "polite_stop_seconds_max": round(max((stop.seconds for stop in self.stops), default=0.0), 2),
            "events": self.events,
            "decisions": verdict.decisions,
            "decisions_expected": verdict.expected,
            "decisions_repeated_in_topic": verdict.repeated_in_topic,
            "mails": verdict.mails,
            "mails_twice": verdict.mails_twice,
            "mails_withdrawn": verdict.withdrawn,
            "retries_told_anew": verdict.retries_told_anew,
            "seconds": round(self.seconds, 1),
            "broken": verdict.broken,
        }


class Killing:
    """One run of the proof.  `events`, the crowd's where none are given, and `pace` hold for the replay clock."""

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        seed: int,
        *,
        kills: int,
        pace: float = 30.0,
        events: Iterable[Appended] | None = None,
        puts_back: int = 3,
        tell: Tell = print,
    ) -> None:
        self._proof = Proof(plan, seed)
        self._chance = random.Random(seed)
        self._kills_wanted, self._puts_back, self._tell = kills, puts_back, tell
        self._mail = MailServer(folder / "mails.jsonl")
        self._deployment = Deployment(folder, plan, self._mail.port)
        self._secret = load_or_make(self._deployment.settings.secret_file)
        self._ids = Ids(self._secret)
        self._replays = plan.clock == "replay"
        self._events, self._pace = events, pace

    def run(self) -> Proof:
        """Raises `Failed` where the proof could not be made; what broke is in the proof's verdict."""
        began = time.monotonic()
        try:
            self._deployment.start()
            self._under_load()
        finally:
            self._deployment.end()
            self._mail.close()
            self._proof.seconds = time.monotonic() - began
        return self._proof

    def _under_load(self) -> None:
        deployment, proof = self._deployment, self._proof
        first, feed = self._first_and_feed()
        feed.start()
        try:
            self._strike(feed)
        finally:
            feed.stop(last_word(feed.last_at + AHEAD_MS) if self._replays else None)
        if not self._replays and feed.late_ms > LATE_MS_MAX:
            raise Failed(f"this machine is too slow for the pace: an event came {feed.late_ms / 1000:.1f} s late")
        events = [*(each.event for each in first), *feed.events]
        proof.events = len(events)
        play_out = -1 if self._replays else HOUR
        oracle_says = oracle.expected(events, play_out, flows=NAMES, turn=turns(self._secret))
        sends = sum(each.outcome == "send" for each in oracle_says)
        self._settle(sends, 0.0 if self._replays else (feed.last_at + HOUR) / 1000)
        self._stop_politely()
        stored = deployment.decisions_in_store()
        judge_decisions(proof.verdict, deployment.records("decisions"), stored, oracle_says, self._was_rewound)
        kills = [kill.at for kill in proof.kills if kill.name.startswith("courier")]
        deliveries = deployment.records("deliveries")
        put_off = withdrawn(deliveries, stored, events)
        concurrency = deployment.settings.courier.concurrency
        judge_mails(proof.verdict, self._mail.mails(), stored, kills, concurrency, put_off, deliveries=deliveries)

    def _was_rewound(self, customer: str) -> bool:
        shard = shard_of(self._ids.customer(customer.encode()), self._proof.plan.shards)
        return shard in self._proof.shards_put_back

    def _first_and_feed(self) -> tuple[list[Appended], Feed]:
        """Those of long standing, who are there already, and the load.

        On the live clock each event goes in when it is an hour old but for `LEAD_MS`, so that its reminder is due
        that much later; its own time says when.
        """
        seed, deployment = self._proof.seed, self._deployment
        if self._events is not None:
            return [], self._paced(self._events)
        start = START if self._replays else round(time.time() * 1000) - HOUR + LEAD_MS + AHEAD_OF_LOAD_MS
        regulars = Regulars(seed, start)
        first = regulars.history() if self._replays else regulars.waiting(LATE_MS_MAX)
        append(deployment, first)
        deployment.await_applied()
        crowd = Crowd(seed, start, DAYS if self._replays else MOMENTS)
        news = regulars.news() if self._replays else regulars.news(NEWS_MS)
        events = merge(crowd, news, key=attrgetter("at"))
        if self._replays:
            return first, self._paced(events)
        return first, Feed(deployment, events, lambda _, each: (each.at + HOUR - LEAD_MS) / 1000)

    def _paced(self, events: Iterable[Appended]) -> Feed:
        began = time.time()
        return Feed(self._deployment, events, lambda number, _: began + number / self._pace, lag_max=LAG_MAX)

    def _strike(self, feed: Feed) -> None:
        aside: list[int] = []
        while self._proof.hits < self._kills_wanted and len(self._proof.kills) < self._kills_wanted * (1 + MISSES_MAX):
            done = self._proof.hits
            if self._puts_back and not aside and done >= self._kills_wanted // 4:
                read = self._restart(lambda: aside.extend(self._deployment.copy_shards(self._chance, self._puts_back)))
                self._nothing_again(read)
                self._tell(f"shards {aside} put aside")
            elif aside and not self._proof.shards_put_back and done >= self._kills_wanted * 3 // 4:
                self._restart(lambda: self._deployment.put_back(aside))
                self._proof.shards_put_back = aside
                self._tell(f"shards {aside} put back as they were")
            self._kill(feed)
        self._deployment.await_ready()
        # Whatever the last kill left behind is under work again when the load ends.
        time.sleep(self._chance.uniform(0.5, 1.5))

    def _kill(self, feed: Feed) -> None:
        deployment, chance = self._deployment, self._chance
        deployment.await_ready()
        time.sleep(chance.uniform(0.1, PAUSE_SECONDS_MAX))
        kind = chance.choice(("worker", "courier"))
        name = chance.choice([each for each in deployment.names if each.startswith(kind)])
        mails = self._mail.mails()
        at_work = feed.is_going and (kind == "worker" or (bool(mails) and time.time() - mails[-1].at < 1.0))
        at = time.time()
        if deployment.kill(name):
            self._proof.kills.append(Kill(at, name, at_work))
            said = "" if at_work else ", idle, does not count"
            self._tell(f"kill -9 {name} ({self._proof.hits} of {self._kills_wanted}){said}")

    def _restart(self, between: Callable[[], object]) -> dict[str, int]:
        """Stop politely, under load, do something, start again; how far the workers had read."""
        stopped = self._stop_politely()
        between()
        self._deployment.start()
        return stopped.read

    def _nothing_again(self, read: dict[str, int]) -> None:
        starts = self._deployment.starts()
        self._proof.verdict.hold(
            "after a polite stop nothing is read again",
            (f"{name} from {starts[name]}, read to {end}" for name, end in read.items() if starts[name] < end),
        )

    def _stop_politely(self) -> Stopped:
        self._deployment.await_ready()
        stopped = self._deployment.stop()
        self._proof.stops.append(stopped)
        hold = self._proof.verdict.hold
        hold("SIGTERM ends in exit 0", [f"exit {stopped.code}"] if stopped.code else [])
        late = stopped.seconds > DRAIN_SECONDS_MAX
        hold("SIGTERM ends within seconds", [f"{stopped.seconds:.1f} s"] if late else [])
        return stopped

    def _settle(self, sends: int, not_before: float) -> None:
        """Wait until all is decided and sent, and a while longer, for what must not come."""
        began = time.monotonic()
        quiet_since, count = began, -1
        while time.monotonic() - began < SETTLE_SECONDS_MAX:
            mails = len(self._mail.mails())
            if mails != count or time.time() < not_before + 1 or not self._deployment.is_settled:
                quiet_since, count = time.monotonic(), mails
            quiet = time.monotonic() - quiet_since
            if quiet > QUIET_SECONDS and (count >= sends or quiet > 10 * QUIET_SECONDS):
                return
            time.sleep(0.1)
        self._tell("not settled in time; judged as it is")
