"""Whether customers came out as they were drawn: arm by arm, and held out or not, under the shares that were in force.

Who edits shares moves nobody who was drawn before, so each set of shares has a test of its own.  Their e-values, which
are of different customers, are multiplied.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from operators.measuring.ledger import Arms, Trial
from operators.measuring.ratio import sample_ratio

SRM_ALARM = 0.01
OTHERS = "(others)"
"""Arms that nobody got, together."""
ROUNDING = 1e-6
"""By how much shares may miss one."""


class Ratio(msgspec.Struct, frozen=True):
    """Customers per arm against the shares they were drawn with; `alarm` when chance does not explain them.

    Where shares were edited, `shares` are those that each arm should have of all these customers.
    """

    counts: dict[str, int]
    shares: dict[str, float]
    p_value: float
    alarm: bool


class Group(NamedTuple):
    """Customers who were drawn with one set of shares."""

    counts: dict[str, int]
    shares: dict[str, float]


def of_arms(arms: Arms | None) -> Ratio | None:
    """Whether the arms came out as drawn; None where nobody can say which shares were in force together.

    What is kept with customers tells of all who were drawn, so that a share is missing where an arm gets nobody.
    Decisions alone know nothing of an arm in which nothing is sent.
    """
    if arms is None:
        return None
    is_kept = any(draw.is_kept for draw in arms.draws)
    counts: dict[tuple[str, float], int] = {}
    for draw, count in arms.draws.items():
        if draw.is_kept == is_kept:
            if draw.share is None:
                return None
            counts[draw.arm, draw.share] = count
    groups = [Group({arm: counts[arm, shares[arm]] for arm in shares}, shares) for shares in _sets(counts)]
    if is_kept and len(groups) == 1:
        groups = [_with_others(groups[0])]
    return _together(groups)


def of_holdout(trial: Trial, configured: float) -> Ratio | None:
    """Whether as many are held out as should be: by the shares that decisions name, else by the configured one.

    Of treated customers who came through an experiment, decisions name the arm's share and not the holdout's: they are
    counted to the one holdout that is known, and where there were several nobody can say.
    """
    known = {holdout: each for holdout, each in trial.by_holdout.items() if holdout is not None and 0 < holdout[1] < 1}
    if not known:
        had_one = trial.held > 0 or trial.by_holdout.keys() == {None}
        return _together([_held(trial.treated, trial.held, configured)]) if had_one and 0 < configured < 1 else None
    untold = trial.by_holdout.get(None, (0, 0))
    has_changed = len(trial.by_holdout.keys() - {None}) > 1
    if len({of for of, _ in known}) > 1 or (any(untold) and has_changed):
        return None
    return _together(
        [_held(treated + untold[0], held + untold[1], share) for (_, share), (treated, held) in sorted(known.items())]
    )


def _held(treated: int, held: int, share: float) -> Group:
    return Group({"treated": treated, "holdout": held}, {"treated": 1 - share, "holdout": share})


def _sets(draws: Iterable[tuple[str, float]]) -> list[dict[str, float]]:
    """The sets of shares that these arms were drawn with; none where that cannot be told.

    There was one as long as no arm has had two shares.  After an edit, shares of two arms belong together where they
    add up to one; of more arms, several sets could be made of them.
    """
    found = sorted(draws)
    names = sorted({arm for arm, _ in found})
    if len(names) == len(found):
        return [dict(found)] if _missing(dict(found)) > -ROUNDING else []
    sets: dict[float, dict[str, float]] = {}
    for arm, share in found:
        sets.setdefault(round(share if arm == names[0] else 1 - share, 9), {})[arm] = share
    is_clear = len(names) == 2 and all(abs(_missing(each)) < ROUNDING for each in sets.values())
    return list(sets.values()) if is_clear else []


def _missing(shares: dict[str, float]) -> float:
    return 1 - math.fsum(shares.values())


def _with_others(group: Group) -> Group:
    missing = _missing(group.shares)
    return Group({**group.counts, OTHERS: 0}, {**group.shares, OTHERS: missing}) if missing > ROUNDING else group


def _together(groups: Sequence[Group]) -> Ratio | None:
    groups = [group for group in groups if len(group.shares) > 1]
    if not groups:
        return None
    told = [sample_ratio(list(counts.values()), [shares[name] for name in counts]) for counts, shares in groups]
    p_value = math.exp(min(0.0, -math.fsum(math.log(each.e_value) for each in told)))
    counts = sum((Counter(group.counts) for group in groups), Counter[str]())
    return Ratio({name: counts[name] for name in groups[0].counts}, _expected(groups), p_value, p_value < SRM_ALARM)


def _expected(groups: Sequence[Group]) -> dict[str, float]:
    if len(groups) == 1:
        return groups[0].shares
    sizes = [sum(group.counts.values()) for group in groups]
    return {
        name: math.fsum(size * group.shares[name] for size, group in zip(sizes, groups, strict=True)) / sum(sizes)
        for name in groups[0].shares
    }
