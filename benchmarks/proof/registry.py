"""What a fault is: a value with a name, what it does, how it is judged, and where it can be tried.

`benchmarks.proof.faults.FAULTS` is the list of all; a new capability adds its own there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.proof.trial import Trial


@dataclass(frozen=True)
class Fault:
    """One way to do harm.

    `strike` is called while a load of its own goes on, does the harm and makes it good again; it may tell the
    trial's verdict what it sees.  What came of the trial's customers is judged afterwards, by the oracle.
    `stage` names one of `benchmarks.proof.stage.PLANS`.  `has_news`: whether the catalogue says something meanwhile;
    who waits for a product is judged when the shard hears of it, which is another moment when it lost what it had read.
    """

    name: str
    what: str
    judged: str
    stage: str
    strike: Callable[[Trial], None]
    has_news: bool = True
