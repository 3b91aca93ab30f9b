"""A provider that refuses, for now or for good, hangs up, says nothing, takes a mail and never tells, or is away."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from benchmarks.proof.mail_server import Mode
from benchmarks.proof.registry import Fault
from benchmarks.proof.trial import Trial

ONCE = "each message is accepted once in the end; no more is decided than the oracle says"
TWICE_IF_UNSAID = "each message is accepted; twice only where the server took it and never said so, with the same id"
GOOD_SECONDS = (0.3, 1.0)


def behaving(mode: Mode, least: float = 0.8, most: float = 2.5) -> Callable[[Trial], None]:
    def strike(trial: Trial) -> None:
        trial.pause(*GOOD_SECONDS)
        before = len(trial.mail.mails()) + len(trial.mail.refused)
        trial.mail.be(mode)
        trial.pause(least, most)
        trial.mail.be("accept")
        trial.notes["answers_meanwhile"] += len(trial.mail.mails()) + len(trial.mail.refused) - before
        trial.pause(*GOOD_SECONDS)

    return strike


def changing_its_mind(trial: Trial) -> None:
    """One of all these after the other, with a courier killed in the middle of it."""
    modes: tuple[Mode, ...] = ("temporary", "later", "closing", "silent", "late", "drop", "away")
    for mode in trial.chance.sample(modes, 4):
        trial.mail.be(mode)
        trial.pause(0.2, 0.8)
        if trial.chance.random() < 0.3:
            trial.kill(trial.chance.choice([name for name in trial.deployment.names if name.startswith("courier")]))
        trial.mail.be("accept")
        trial.pause(0.1, 0.4)


def half_open(trial: Trial) -> None:
    """The machine behind the connections is gone, and nobody told them: they are open, and nothing answers."""
    trial.pause(*GOOD_SECONDS)
    os.kill(trial.mail.pid, signal.SIGSTOP)
    try:
        trial.freeze_mail(2.5, 5.0)  # longer than a courier waits
    finally:
        os.kill(trial.mail.pid, signal.SIGCONT)
    trial.pause(*GOOD_SECONDS)


FAULTS = [
    Fault("smtp-4xx-rcpt", "451 for every recipient, for a while", ONCE, "log", behaving("temporary")),
    Fault("smtp-4xx-data", "452 for every mail, for a while", ONCE, "log", behaving("later")),
    Fault(
        "smtp-5xx-data",
        "554 for every mail, for a while",
        "what was refused for good is not sent again; all else is accepted once",
        "log",
        behaving("permanent"),
    ),
    Fault(
        "smtp-5xx-rcpt",
        "550 5.1.1 for every recipient, for a while",
        "who was refused for good is sent nothing from then on (`suppressed`); all else is accepted once",
        "log",
        behaving("bounce"),
    ),
    Fault("smtp-421", "421 and the connection closed", ONCE, "log", behaving("closing")),
    Fault("smtp-silent", "no answer to RCPT; the courier's patience is 2 s", ONCE, "log", behaving("silent", 2.2, 4.0)),
    Fault("smtp-late", "no answer after the final dot", TWICE_IF_UNSAID, "log", behaving("late", 2.2, 4.0)),
    Fault("smtp-drop", "the connection cut after the final dot", TWICE_IF_UNSAID, "log", behaving("drop")),
    Fault("smtp-half-open", "the server frozen, its connections open", TWICE_IF_UNSAID, "log", half_open),
    Fault("smtp-away", "nobody listens", ONCE, "log", behaving("away")),
    Fault("smtp-all", "all of these, and couriers killed meanwhile", TWICE_IF_UNSAID, "log", changing_its_mind),
]
