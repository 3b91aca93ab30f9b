"""All faults there are, as a list that one can read.  See `benchmarks.proof.registry`."""

from __future__ import annotations

from benchmarks.proof.faults import damage, events, fanout, kafka, machine, mail, processes, strangers
from benchmarks.proof.registry import Fault

FAULTS: list[Fault] = [
    *processes.FAULTS,
    *mail.FAULTS,
    *events.FAULTS,
    *strangers.FAULTS,
    *fanout.FAULTS,
    *kafka.FAULTS,
    *machine.FAULTS,
    *damage.FAULTS,
]
