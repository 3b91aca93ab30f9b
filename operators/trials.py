"""A new version of a flow on trial beside the present one, and which of the two a customer is under.

A *canary* takes the place of the present version for a sticky share of the customers: passages of both are stored
alike, by the flow's name, so that promoting it or rolling it back moves nobody.  A *shadow* runs for everybody beside
the present version and sends nothing; see `operators.shadows`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from operators.faults import FlowError

_CANARY, _SHADOW = "@canary", "@shadow"


@dataclass(frozen=True)
class Trial:
    """How a version is tried: on `percent` of the customers, or on all of them in the shadow."""

    mode: Literal["canary", "shadow"]
    percent: float = 100.0

    def __post_init__(self) -> None:
        if not 0 <= self.percent <= 100:
            raise FlowError(
                f"canary(…, percent={self.percent:g}): that is not between 0 and 100. Something like 10 will do; "
                "0 rolls it back."
            )

    def __str__(self) -> str:
        return "shadow" if self.mode == "shadow" else f"canary, {self.percent:g} %"


def base_of(name: str) -> str:
    """The flow's own name, of a version on trial too."""
    return name.partition("@")[0]


def canary_name(name: str) -> str:
    """By what a canary is stopped, by an operator or by its own failures."""
    return name + _CANARY


def shadow_name(name: str) -> str:
    """By what those inside a shadow are parked."""
    return name + _SHADOW


def is_shadow(name: str) -> bool:
    return name.endswith(_SHADOW)


def faults(flows: Iterable[tuple[str, Trial | None]]) -> Iterator[str]:
    """What is wrong with which flows stand in FLOWS together, by their names and trials."""
    present: set[str] = set()
    tried: dict[str, Trial] = {}
    for index, (name, trial) in enumerate(flows):
        if "@" in name or "/" in name:
            yield f'FLOWS[{index}]: "{name}" has @ or / in it, which no flow\'s name can. Use letters, digits and _.'
        if trial is None and name in present:
            yield (
                f'FLOWS[{index}]: there already is a flow "{name}". Passages are stored by the name of their flow, so '
                "each needs its own; to try a new version of it, write canary(…) or shadow(…) around that."
            )
        elif trial is not None and name in tried:
            yield f'FLOWS[{index}]: a {tried[name].mode} of "{name}" is on trial already. Try one version at a time.'
        elif trial is None:
            present.add(name)
        else:
            tried[name] = trial
    for name, trial in tried.items():
        if name not in present:
            yield (
                f'FLOWS: a {trial.mode} of "{name}" is tried beside nothing. Keep the present version in FLOWS too, or '
                f"promote this one: take {trial.mode}(…) away from around it."
            )
