"""From the tries of a choice to the next entry of its schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from operators.bandits.contexts import Learner, every_context
from operators.bandits.schedule import Entry, Policy
from operators.bandits.tries import Tried
from operators.steps import Choose, named

LEAD_MS = 30_000
"""So long after it was published an entry begins: every worker has read it by then."""
MOVED_MIN = 0.005
"""A share that moved by less is not worth an entry."""


def next_entry(step: Choose[Any], tries: Sequence[Tried], last: Entry | None, now: int) -> Entry | None:
    """The shares that follow from tries, given in any order; None where they stay as they are, or are held.

    When it begins is said last, by `beginning`.
    """
    if last is not None and last.held:
        return None
    conditions = [named(each, step.name) for each in step.by]
    learner = Learner([arm.name for arm in step.arms], conditions, step.learns, now)
    for each in sorted(tries, key=lambda each: (each.one.at, each.id)):
        learner.learn(each.one)
    table = learner.table()
    shares = {context: dict(told.by_arm) for context, told in table.items()}
    if not tries or (last is not None and not _moved(last.shares, shares)):
        return None
    stopped = set.intersection(*(set(told.stopped) for told in table.values()))
    return Entry(
        choice=step.name,
        number=last.number + 1 if last else 1,
        begins=0,
        shares=shares,
        state="settled" if all(told.state == "settled" for told in table.values()) else "learning",
        regret=round(next(iter(table.values())).regret, 3),
        stopped=tuple(sorted(stopped)),
        tries=len(tries),
        learnt_at=now,
    )


def holding(step: Choose[Any], shares: Policy, last: Entry | None) -> Entry:
    """These shares by somebody's word, until they are released; the context "" stands for those not named."""
    every = every_context([named(each, step.name) for each in step.by])
    by_context = {context: dict(shares[context if context in shares else ""]) for context in every}
    return Entry(choice=step.name, number=last.number + 1 if last else 1, begins=0, shares=by_context, held=True)


def released(last: Entry) -> Entry:
    """The same shares, from which on it is learnt again."""
    return msgspec.structs.replace(last, number=last.number + 1, held=False)


def beginning(entry: Entry, last: Entry | None, now: int) -> Entry:
    """As it is published at this moment."""
    return msgspec.structs.replace(entry, begins=max(now + LEAD_MS, last.begins + 1 if last else 0))


def _moved(before: dict[str, dict[str, float]], now: dict[str, dict[str, float]]) -> bool:
    return any(
        arms.keys() != before.get(context, {}).keys()
        or any(abs(share - before[context][arm]) >= MOVED_MIN for arm, share in arms.items())
        for context, arms in now.items()
    )
