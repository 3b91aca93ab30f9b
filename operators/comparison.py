"""A version on trial beside the present one, in numbers: who entered, and what was decided about which message.

Counted from when these two versions met in this way: an edit of either begins anew, a canary after a shadow too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from operators.effects import Effects
from operators.program import Program
from operators.tallies import Key
from operators.trials import base_of, shadow_name
from state.decisions import Decision

ENTERED = "entered"
PRESENT = "present"


class Trials:
    """The flows of a program that have a version on trial, and how each is known in the tallies."""

    def __init__(self, program: Program) -> None:
        tried = [flow for flow in program.all if flow.trial is not None]
        self.modes = {base_of(flow.name): flow.trial for flow in tried if flow.trial is not None}
        self.versions = {
            name: {
                PRESENT: program.versions[name],
                trial.mode: program.canary_versions.get(name) or program.versions[shadow_name(name)],
            }
            for name, trial in self.modes.items()
        }

    def entered(self, flow: str, version: str) -> Key | None:
        """What a new passage counts for; None where nothing is on trial."""
        return self._key(flow, version, ENTERED)

    def made(self, decision: Decision) -> Key | None:
        words = f"{decision.outcome}: {decision.reason}" if decision.reason else decision.outcome
        return self._key(decision.flow, decision.flow_version, decision.message, words)

    def keys(self, effects: Effects) -> Iterator[Key]:
        """What one transition counts for."""
        if self.modes:
            found = [self.entered(flow, version) for flow, version in effects.entered]
            found += [self.made(decision) for decision in (*effects.decisions, *effects.shadowed)]
            yield from (key for key in found if key is not None)

    def _key(self, flow: str, version: str, *what: str) -> Key | None:
        versions = self.versions.get(base_of(flow))
        if versions is None:
            return None
        role = next((role for role, known in versions.items() if known == version), None)
        return None if role is None else (*self._begins(base_of(flow)), role, *what)

    def _begins(self, name: str) -> Key:
        """Under a shadow the present version has all customers and beside a canary it has not: no sum says anything."""
        kind = "trial" if self.modes[name].mode == "canary" else "shadow"
        return kind, name, *self.versions[name].values()

    def seen(self, counts: Mapping[Key, int]) -> dict[str, Any]:
        """By flow: how it is tried, and of both versions what is counted."""
        return {name: self._flow(name, counts) for name in self.modes}

    def _flow(self, name: str, counts: Mapping[Key, int]) -> dict[str, Any]:
        trial, versions = self.modes[name], self.versions[name]
        found: dict[str, Any] = {
            role: {"version": version, "entered": 0, "decisions": {}} for role, version in versions.items()
        }
        begins = self._begins(name)
        for key, count in counts.items():
            if key[:4] != begins or key[4] not in found:
                continue
            role, what = found[key[4]], key[5:]
            if what == (ENTERED,):
                role["entered"] = count
            else:
                role["decisions"].setdefault(what[0], {})[what[1]] = count
        return {"trial": str(trial), **found}


def together(told: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The numbers of all processes added up."""
    total: dict[str, Any] = {}
    for each in told:
        total = _added(total, each)
    return total


def _added(one: Any, other: Any) -> Any:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return {key: _added(one.get(key), other.get(key)) for key in {**one, **other}}
    if isinstance(one, int) and isinstance(other, int):
        return one + other
    return other if one is None else one
