"""Whether each experiment got the customers that its shares promise, for those who read the numbers.

Counted is who was given an arm while its shares were what they are now; whoever failed on the way (an arm whose
template raises, say) is not counted, which is how a broken arm shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from operators.experiments import Drawn, shares
from operators.measuring.ratio import sample_ratio
from operators.program import Program, experiments
from operators.steps import Choose
from operators.tallies import Key
from operators.trials import is_shadow

ALPHA = 0.001
"""However often one looks: so seldom is a sound experiment ever called unbalanced."""

Seen = dict[str, dict[str, dict[str, float]]]
"""By experiment: `shares` and `customers`, each by arm."""


def key_of(drawn: Drawn) -> Key:
    """What a newly assigned customer is counted under."""
    return "arm", drawn.experiment, words(drawn.shares), drawn.arm


def words(shares: Iterable[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {percent:g}" for name, percent in shares)


def seen(program: Program, counts: Mapping[Key, int]) -> Seen:
    """The experiments of these flows, with the customers that got each arm under the present shares.

    Where a canary has other arms or shares, they stand beside the present ones.
    """
    found: Seen = {}
    for flow in sorted(program.all, key=lambda flow: flow.trial is not None):
        if is_shadow(flow.name):
            continue
        for step in experiments(flow.steps):
            if isinstance(step, Choose):
                continue  # its shares change, and nobody keeps an arm
            told: dict[str, dict[str, float]] = {"shares": dict(shares(step)), "customers": {}}
            for name, _ in shares(step):
                told["customers"][name] = counts.get(("arm", step.name, words(shares(step)), name), 0)
            before = found.setdefault(step.name, told)
            if before["shares"] != told["shares"]:
                found[f"{step.name} (canary)"] = told
    return found


def judged(told: Iterable[Seen]) -> dict[str, dict[str, Any]]:
    """All processes' numbers together, as `impuls status` shows them."""
    together: Seen = {}
    for each in told:
        for name, numbers in each.items():
            mine = together.setdefault(name, {"shares": numbers["shares"], "customers": {}})["customers"]
            for arm, count in numbers["customers"].items():
                mine[arm] = mine.get(arm, 0) + count
    return {name: _judge(numbers["shares"], numbers["customers"]) for name, numbers in sorted(together.items())}


def _judge(shares: Mapping[str, float], customers: Mapping[str, float]) -> dict[str, Any]:
    open_arms = [arm for arm, percent in shares.items() if percent > 0]
    counts = [int(customers.get(arm, 0)) for arm in open_arms]
    ratio = sample_ratio(counts, [shares[arm] for arm in open_arms])
    return {
        "shares": dict(shares),
        "customers": {arm: int(count) for arm, count in customers.items()},
        "p_value": ratio.p_value,
        "mismatch": ratio.p_value < ALPHA,
    }
