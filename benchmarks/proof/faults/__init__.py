"""All faults there are, as a list that one can read.  See `benchmarks.proof.registry`."""

from __future__ import annotations

from benchmarks.proof.faults import damage, events, kafka, machine, mail, processes
from benchmarks.proof.registry import Fault

FAULTS: list[Fault] = [*processes.FAULTS, *mail.FAULTS, *events.FAULTS, *kafka.FAULTS, *machine.FAULTS, *damage.FAULTS]
