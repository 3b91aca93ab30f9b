"""Which version of a flow a customer is under, where a canary is tried on some."""

from __future__ import annotations

from typing import Any

from operators.breaker import Breaker
from operators.flow import Flow
from operators.journey import ENTER
from operators.program import Program
from operators.trials import canary_name
from state.ids import Ids


class Versions:
    """Asked with every move; where there is no canary it is a look into a dictionary."""

    def __init__(self, program: Program, ids: Ids, breaker: Breaker) -> None:
        self._by_name, self._canaries = program.by_name, program.canaries
        self._ids, self._breaker = ids, breaker

    def at(self, name: str, customer: str, wait: str = ENTER) -> Flow[Any] | None:
        """The version by which she goes on from this wait: hers, or the other where only that has such a wait."""
        flow = self._by_name.get(name)
        canary = self._canaries.get(name) if self._canaries else None
        if canary is None or flow is None:
            return flow
        hers, other = (canary, flow) if self._tries(canary, customer) else (flow, canary)
        knows = wait == ENTER or hers.find_wait(wait) is not None or other.find_wait(wait) is None
        return hers if knows else other

    def _tries(self, canary: Flow[Any], customer: str) -> bool:
        if canary.trial is None or canary_name(canary.name) in self._breaker.stopped:
            return False
        return self._ids.share("canary", canary.name, customer) * 100 < canary.trial.percent
