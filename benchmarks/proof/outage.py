"""The proof by a mail server that goes away, comes back refusing for now, and then serves again.

Nothing is lost, nothing comes twice, nothing comes after its last useful moment, and memory stays flat.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.proof.crowd import HOUR, Appended
from benchmarks.proof.deployment import Deployment, Plan
from benchmarks.proof.feed import Feed
from benchmarks.proof.flows_proved import NAMES
from benchmarks.proof.mail_server import MailServer, Mode
from benchmarks.proof.verdict import Verdict, final_decisions, first_decisions, judge_decisions, judge_mails
from state.instants import format_instant, parse_instant
from tests.flows import oracle

WITHIN_MS = 24 * HOUR  # of a welcome
LEFT_MS = 15_000  # half of the customers come so long before their welcome is of no more use
LATE_SECONDS_MAX = 10.0  # from the last look at a message until it is accepted
GROWTH_MIB_MAX = 48.0
SETTLE_SECONDS_MAX = 300.0
LOOK_SECONDS = 2.0

Tell = Callable[[str], None]


@dataclass
class Outage:
    """What was done and what came of it."""

    plan: Plan
    events: int = 0
    expired: int = 0
    retries: int = 0
    growth_mib: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    verdict: Verdict = field(default_factory=Verdict)

    def as_json(self) -> dict[str, Any]:
        return {
            "proof": "outage",
            "log": self.plan.log,
            "clock": self.plan.clock,
            "events": self.events,
            "decisions": self.verdict.decisions,
            "mails": self.verdict.mails,
            "mails_twice": self.verdict.mails_twice,
            "retries": self.retries,
            "expired": self.expired,
            "growth_mib": {name: round(grown, 1) for name, grown in self.growth_mib.items()},
            "seconds": round(self.seconds, 1),
            "broken": self.verdict.broken,
        }


def newcomers(pace: float, enough: threading.Event) -> Iterator[Appended]:
    """People who agree to hear from the shop, now, or a day ago but for a quarter of a minute."""
    number, began = 0, time.time()
    while not enough.wait(max(0.0, began + number / pace - time.time())):
        number += 1
        now = round(time.time() * 1000)
        at = now if number % 2 else now - WITHIN_MS + LEFT_MS
        customer = f"c{number}"
        traits = {"email": f"{customer}@example.invalid", "firstName": f"Customer {number}"}
        words = {"channel": "email", "topic": "marketing", "source": "sign-up form"}
        for name, told in (
            ("i", {"type": "identify", "traits": traits}),
            ("g", {"type": "track", "event": "Consent Granted", "properties": words}),
        ):
            event = {**told, "messageId": f"{name}{number}", "userId": customer, "timestamp": format_instant(at)}
            yield Appended(at, number, customer, event)


def run(
    folder: Path, plan: Plan, *, pace: float = 20.0, away: float = 25.0, refusing: float = 15.0, tell: Tell = print
) -> Outage:
    """Raises `Failed` where the proof could not be made.  `pace` in customers a second, the phases in seconds."""
    began = time.monotonic()
    outage = Outage(plan)
    mail = MailServer(folder / "mails.jsonl")
    deployment = Deployment(folder, plan, mail.port)
    try:
        deployment.start()
        _live_through(deployment, mail, outage, pace, (("accept", 8.0), ("away", away), ("temporary", refusing)), tell)
    finally:
        deployment.end()
        mail.close()
        outage.seconds = time.monotonic() - began
    return outage


def _live_through(
    deployment: Deployment,
    mail: MailServer,
    outage: Outage,
    pace: float,
    phases: tuple[tuple[Mode, float], ...],
    tell: Tell,
) -> None:
    enough = threading.Event()
    feed = Feed(deployment, newcomers(pace, enough))
    feed.start()
    before: dict[str, float] = {}
    try:
        for mode, seconds in phases:
            mail.be(mode)
            tell(f"the mail server: {mode}")
            until = time.monotonic() + seconds
            deployment.wait(lambda until=until: time.monotonic() > until, seconds + 60, "through")  # type: ignore[misc]
            before = before or deployment.resident_mib()
            _note_growth(outage, before, deployment.resident_mib())
    finally:
        enough.set()
        feed.stop()
        mail.be("accept")
    tell("the mail server: accept")
    outage.events = len(feed.events)
    _settle(deployment, mail, tell)
    _note_growth(outage, before, deployment.resident_mib())
    stopped = deployment.stop()
    outage.verdict.hold("SIGTERM ends in exit 0", [f"exit {stopped.code}"] if stopped.code else [])
    _judge(deployment, mail, outage, oracle.expected(feed.events, 0, flows=NAMES))


def _note_growth(outage: Outage, before: dict[str, float], now: dict[str, float]) -> None:
    for name, mib in now.items():
        outage.growth_mib[name] = max(outage.growth_mib.get(name, 0.0), mib - before.get(name, mib))


def _settle(deployment: Deployment, mail: MailServer, tell: Tell) -> None:
    """Until every message was accepted or is not to be sent any more."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while time.monotonic() < deadline:
        accepted = {each.message_id for each in mail.mails()}
        last = final_decisions(deployment.records("decisions"))
        open_ones = [id for id, each in last.items() if each.outcome != "skip" and id not in accepted]
        if last and not open_ones and deployment.is_settled:
            return
        until = time.monotonic() + LOOK_SECONDS
        deployment.wait(lambda until=until: time.monotonic() > until, 60, "through")  # type: ignore[misc]
    tell("not settled in time; judged as it is")


def _judge(deployment: Deployment, mail: MailServer, outage: Outage, oracle_says: list[oracle.Expected]) -> None:
    verdict, stored, mails = outage.verdict, deployment.decisions_in_store(), mail.mails()
    judge_decisions(verdict, deployment.records("decisions"), stored, oracle_says)
    judge_mails(verdict, mails, stored, [], 0, deliveries=deployment.records("deliveries"))
    last = final_decisions(stored)
    expired = {id for id, each in last.items() if each.reason == "expired"}
    at = {mail.message_id: mail.at for mail in mails}
    useful_to = {each.message_id: (parse_instant(each.at) + WITHIN_MS) / 1000 for each in first_decisions(stored)}
    outage.expired = len(expired)
    outage.retries = sum(b'"retry"' in raw for raw in stored)
    verdict.hold("what has expired is not sent", expired & at.keys())
    verdict.hold("something has expired, or the outage proved nothing", [] if expired else ["nothing"])
    verdict.hold(
        "nothing is accepted after its last useful moment",
        (id for id, when in at.items() if when > useful_to.get(id, when) + LATE_SECONDS_MAX),
    )
    verdict.hold_growth(outage.growth_mib, GROWTH_MIB_MAX)
