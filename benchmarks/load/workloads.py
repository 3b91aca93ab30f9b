"""The workloads there are, as values: how the rate goes, who does something, and what.

A workload knows no rate and no number of customers; those are a run's (see `benchmarks.load.plans`).
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.load.choices import Choice, Everyone, HotKey, LongTail
from benchmarks.load.paces import DailyCurve, Pace, Spike, Steady


@dataclass(frozen=True)
class Mix:
    """Every `mail_every`th event leads to a mail at once; of the others so many change a cart or order, the rest look.

    The event that leads to a mail is the first consent of a customer whose address is known: flow `welcome`.
    """

    mail_every: int = 5
    carts: float = 0.2
    orders: float = 0.02


STEADY, EVERYONE, MIX = Steady(), Everyone(), Mix()


@dataclass(frozen=True)
class Workload:
    """`rate` is what a run has that names none, in events a second."""

    name: str
    says: str
    pace: Pace = STEADY
    choice: Choice = EVERYONE
    mix: Mix = MIX
    rate: int = 500


WORKLOADS = (
    Workload("steady", "The same rate all the time, all customers alike: the one to begin and to compare with."),
    Workload("daily", "A shop's day from midnight to midnight, pressed into the run.", pace=DailyCurve()),
    Workload("spike", "The morning of a sale: for a quarter of the run twenty times the rate.", pace=Spike(), rate=100),
    Workload("long-tail", "Few customers do much and most do little (Zipf, exponent 1.1).", choice=LongTail()),
    Workload("hot-key", "One customer, a bot, does half of all; what is timed are the others.", choice=HotKey()),
)
AMONG_PARKED = Workload("parked", "The steady load, without orders.", mix=Mix(mail_every=5, carts=0.2, orders=0))
REPLAY = "replay"
REPLAY_SAYS = "A recorded topic or a JSON lines file of your own, at its own pace (--file, --speed)."


class NoSuchWorkload(ValueError):
    """A name that none has; the message says which there are."""


def workload(name: str) -> Workload:
    """Raises `NoSuchWorkload`."""
    for each in WORKLOADS:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in WORKLOADS)
    raise NoSuchWorkload(f"{name}: there is no such workload. Choose one of {names} or {REPLAY}.")
