"""One trial of a fault: a load of customers of its own, the harm, and the judgement of what came of them."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from heapq import merge
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from benchmarks.proof.crowd import AHEAD_MS, DAYS, HOUR, MINUTE, MOMENTS, Appended, Crowd, last_word
from benchmarks.proof.deployment import Deployment
from benchmarks.proof.feed import Feed
from benchmarks.proof.flows_proved import NAMES, turns
from benchmarks.proof.mail_server import MailServer
from benchmarks.proof.regulars import LEAD_MS, Regulars
from benchmarks.proof.verdict import (
    Verdict,
    final_decisions,
    first_decisions,
    judge_alone,
    judge_decisions,
    judge_mails,
    withdrawn,
)
from state import decisions
from state.secret import load_or_make
from tests.flows import oracle

if TYPE_CHECKING:
    from benchmarks.proof.stage import Stage

Through = Callable[[Iterable[Appended]], Iterable[Appended]]

CARTS = "abandoned_cart"
PACE = 50.0  # events a second
EVENTS_MAX = 500  # however long the harm takes on a machine that has other work
SETTLE_SECONDS_MAX = 600.0
STUCK_SECONDS = 90.0  # without anything new
QUIET_SECONDS = 1.2
LOOKS_MAX = 20
WRONG_MS_MAX = 2 * HOUR


class Trial:
    """`stage` is where; the customers' ids begin with `tag`."""

    def __init__(self, stage: Stage, name: str, seed: int, *, has_news: bool = True) -> None:
        self.stage, self.name, self.seed = stage, name, seed
        self.chance = random.Random(f"{name}/{seed}")
        self.tag = f"{name}.{seed}."
        self.verdict = Verdict()
        self.notes: Counter[str] = Counter()
        self.events: list[dict[str, Any]] = []
        self.late: dict[str, dict[str, Any]] = {}  # by id: what the oracle of carts is told instead
        self.excused = False  # the log was put back, and with it what couriers had told
        self.is_judged = False  # by the fault itself
        self.rewound = False  # shards were put back
        self.kills_under_work = 0
        self.settle_seconds = SETTLE_SECONDS_MAX
        self.unjudged = 0  # so many of the events came under a wrong clock: nobody can tell when what was due
        self.began_at = self._starts_at()  # nothing is decided of a moment before, but under a clock that is wrong
        self._mails_before = len(stage.mail.mails())
        self._feed: Feed | None = None
        self._news: list[Appended] = []
        self._begin(has_news)

    def _begin(self, has_news: bool) -> None:
        """Those of long standing come before the load, so that every flow has something to decide while it is on."""
        live = self.stage.is_live
        regulars = Regulars(self.seed, self._starts_at() + (0 if live else LEAD_MS), self.tag)
        first = regulars.waiting(MINUTE) if live else regulars.history()
        self.stage.append(first)
        self.took([each.event for each in first], first[-1].at)
        if not live:
            self.stage.next_start = max(self.stage.next_start, self.began_at + LEAD_MS)
        if has_news:
            self._news = regulars.news(2_000) if live else regulars.news()
            self.deployment.await_applied()

    # -- what a fault may use

    @property
    def deployment(self) -> Deployment:
        return self.stage.deployment

    @property
    def mail(self) -> MailServer:
        return self.stage.mail

    def pause(self, least: float, most: float) -> None:
        """Let the load go on for a while."""
        time.sleep(self.chance.uniform(least, most))

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def kill(self, name: str) -> bool:
        """`kill -9` one of the processes under work; whether it was there."""
        was_ready = self.deployment.ready
        self._note_kill(name)
        there = self.deployment.kill(name)
        self.kills_under_work += int(there and was_ready and self.is_loading)
        return there

    def end(self) -> None:
        """`kill -9` all of it."""
        self._note_kill("courier")
        self.deployment.end()

    def _note_kill(self, name: str) -> None:
        if name.startswith("courier"):
            self.stage.courier_kills.append(time.time())

    def freeze_mail(self, least: float, most: float) -> None:
        """Wait while the mail server is frozen: what it has then, and tells of later, nobody listens to any more."""
        began = time.time()
        self.pause(least, most)
        self.stage.mail_frozen.append((began, time.time() + 0.5))

    # -- the load

    def so_far(self) -> list[dict[str, Any]]:
        """The events that are in the log."""
        return self.events + (list(self._feed.events) if self._feed is not None else [])

    @property
    def loaded(self) -> int:
        """How many events of the load that goes on are in the log."""
        return len(self._feed.events) if self._feed is not None else 0

    @property
    def reached(self) -> int:
        """The event time that the load has come to: what is appended with it, or a later one, comes in time."""
        return max(self.stage.next_start, self._feed.last_at if self._feed is not None else 0)

    def decided_of(self, customers: Iterable[str], message: str) -> int:
        """How many of these customers something was decided about, by this name."""
        decided = {d.customer for d in first_decisions(self._mine(self.stage.decisions.read())) if d.message == message}
        return len(decided & set(customers))

    def start_load(self, pace: float = PACE, through: Through = iter, most: int = EVENTS_MAX) -> None:
        """Customers of the trial's own begin to come, or go on where they were."""
        crowd = Crowd(self.seed + len(self.events), self._starts_at(), self._tempo(), self.tag + f"{len(self.events)}-")
        news, self._news = self._news, []
        self._source = iter(through(islice(merge(crowd, news, key=attrgetter("at")), most)))
        self.go_on(pace)

    def go_on(self, pace: float = PACE) -> None:
        """The same customers come again, to whatever the log has become."""
        began = time.time()
        live = self.stage.is_live

        def due(number: int, each: Appended) -> float:
            return each.at / 1000 - self.stage.offset if live else began + number / pace

        self._feed = Feed(self.deployment, self._source, due, one_by_one=not live)
        self._feed.start()

    def _tempo(self) -> Any:
        return MOMENTS if self.stage.is_live else DAYS

    def _starts_at(self) -> int:
        return round(self.stage.now() * 1000) if self.stage.is_live else self.stage.next_start

    @property
    def is_loading(self) -> bool:
        """Whether there still are events to come; a load without end has some until it is stopped."""
        return self._feed is not None and self._feed.is_going

    def stop_load(self) -> None:
        """No more events for now; those that there are, are in the log."""
        if self._feed is not None:
            feed, self._feed = self._feed, None
            feed.stop()
            self.took(feed.events, feed.last_at)

    def begin_anew(self) -> None:
        """The clock is right again: who came before is not compared with the oracle, only with herself."""
        self.stop_load()
        self.unjudged = len(self.events)
        self.start_load()

    def took(self, events: Iterable[dict[str, Any]], last_at: int) -> None:
        """These are in the log."""
        self.events += events
        self.stage.next_start = max(self.stage.next_start, last_at + MINUTE)

    def play_out(self) -> None:
        """Let time go on until every wait of the trial's customers is over; live, their first."""
        self.stop_load()
        if self.stage.is_live:
            self.stage.step(HOUR + MINUTE)
        else:
            self.stage.next_start += AHEAD_MS
            self.stage.append([last_word(self.stage.next_start, self.stage.number())])
            self.stage.next_start += HOUR

    # -- the judgement

    def expected(self) -> list[oracle.Expected]:
        events = self.events[self.unjudged :]
        last = max((oracle.instant(each["timestamp"]) for each in events), default=0)
        end = round(self.stage.now() * 1000) if self.stage.is_live else last + AHEAD_MS - HOUR
        turn = turns(load_or_make(self.deployment.settings.secret_file))
        told = oracle.expected(events, end - last, flows=[name for name in NAMES if name != CARTS], turn=turn)
        of_carts = [self.late.get(each["messageId"], each) for each in events]
        return sorted([*told, *oracle.expected(of_carts, end - last, flows=[CARTS])])

    def settle(self, stuck_after: float = STUCK_SECONDS) -> bool:
        """Whether all that is expected came, and nothing more for a moment; not when nothing new comes for so long."""
        expected = self.expected()
        deadline = time.monotonic() + self.settle_seconds
        quiet_since, seen = time.monotonic(), (-1, -1)
        while time.monotonic() < deadline:
            self.deployment.wait(lambda: True, 1, "there")
            rows, mails = self.stage.decisions.read(), self.stage.mail.mails()
            if (len(rows), len(mails)) != seen:
                quiet_since, seen = time.monotonic(), (len(rows), len(mails))
            elif (quiet := time.monotonic() - quiet_since) > QUIET_SECONDS and self._is_complete(expected):
                return True
            elif quiet > stuck_after:
                return False
            time.sleep(0.2)
        return False

    def _is_complete(self, expected: list[oracle.Expected]) -> bool:
        mine = self._judged(self._mine(self.stage.decisions.records))
        if len({each.message_id for each in first_decisions(mine)}) < len(expected):
            return False
        must = {id for id, last in final_decisions(mine).items() if last.outcome == "send"}
        return not (must - {mail.message_id for mail in self.stage.mail.mails()} - self._put_off(mine))

    def judge(self) -> Verdict:
        """What came of the trial's customers, against the oracle."""
        topic, stored = self._told_and_stored()
        expected = self._as_bounced(self.expected(), stored)
        judged = self._judged(topic), self._judged(stored)
        judge_decisions(self.verdict, *judged, expected, lambda customer: self.rewound)
        if self.unjudged:
            judge_alone(self.verdict, topic, stored)
        every = self.stage.decisions.records
        others = {each.message_id for each in first_decisions(every)} - {
            each.message_id for each in first_decisions(topic)
        }
        mails = [mail for mail in self.mail.mails()[self._mails_before :] if mail.message_id not in others]
        judge_mails(
            self.verdict,
            mails,
            stored,
            self.stage.courier_kills,
            self.deployment.settings.courier.concurrency,
            self._put_off(stored),
            self.excused,
            self.stage.mail_frozen,
            self.stage.deliveries.read(),
        )
        return self.verdict

    def _told_and_stored(self) -> tuple[list[bytes], list[bytes]]:
        """Topic and store at one moment: nothing was told while the store was read."""
        for _ in range(LOOKS_MAX):
            before = len(self._mine(self.stage.decisions.read()))
            stored = self._mine(self.deployment.decisions_in_store(self.began_at - WRONG_MS_MAX))
            self.deployment.wait(lambda: not self.deployment.has_backlog, SETTLE_SECONDS_MAX, "done with its outbox")
            topic = self._mine(self.stage.decisions.read())
            if len(topic) == before:
                break
        return topic, stored

    def _judged(self, raws: Iterable[bytes]) -> list[bytes]:
        """Of these decisions those about customers who came under a clock that was right."""
        if not self.unjudged:
            return list(raws)
        before = {each.get("userId") for each in self.events[: self.unjudged]}
        return [raw for raw in raws if decisions.from_json(raw).customer not in before]

    def _mine(self, raws: Iterable[bytes]) -> list[bytes]:
        mark = f'"customer":"{self.tag}'.encode()
        return [raw for raw in raws if mark in raw]

    def _put_off(self, stored: list[bytes]) -> set[str]:
        """Messages that the mail server refused for good, or that were not due any more when they could be retried."""
        bounced = self._bounced()
        firsts = first_decisions(stored)
        refused = {mail.message_id for mail in self.mail.refused if mail.code == 554}
        gone = withdrawn(self.stage.deliveries.read(), stored, self.events)
        return refused | gone | {each.message_id for each in firsts if each.customer in bounced}

    def _bounced(self) -> set[str]:
        return {mail.message_id.partition("@")[0] for mail in self.mail.refused if mail.code == 550}

    def _as_bounced(self, expected: list[oracle.Expected], stored: list[bytes]) -> list[oracle.Expected]:
        """To whoever's address was refused for good, nothing is sent from then on; when that is, is the courier's."""
        bounced = self._bounced()
        if not bounced:
            return expected
        suppressed = {
            (each.customer, each.message, oracle.instant(each.at))
            for each in first_decisions(stored)
            if each.reason == "suppressed"
        }
        return [
            each._replace(outcome="skip", reason="suppressed")
            if each.customer in bounced and (each.customer, each.message, each.at) in suppressed
            else each
            for each in expected
        ]
