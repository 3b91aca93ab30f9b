"""What chances were worth: who is ranked above whom, the log loss beside that of the base rate, and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from operators.propensity.linear import log_loss

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Answers whose chances were alike: how many, what was said and what came, on average."""

    answers: int
    said: float
    came: float


Judged = tuple[float, bool]  # what was said, and whether it came


def auc(judged: Sequence[Judged]) -> float:
    """The chance that one who did was ranked above one who did not; ties count half."""
    ranked = sorted(judged)
    did = sum(came for _, came in ranked)
    if not 0 < did < len(ranked):
        return 0.5
    ranks, at = 0.0, 0
    while at < len(ranked):
        end = at
        while end < len(ranked) and ranked[end][0] == ranked[at][0]:
            end += 1
        ranks += sum(came for _, came in ranked[at:end]) * (at + 1 + end) / 2
        at = end
    return (ranks - did * (did + 1) / 2) / (did * (len(ranked) - did))


def mean_log_loss(judged: Sequence[Judged]) -> float:
    return sum(log_loss(said, came) for said, came in judged) / len(judged)


def calibration(judged: Sequence[Judged], bins: int = BINS) -> list[Bin]:
    """Bins of equally many answers, from the least likely to the most."""
    ranked = sorted(judged)
    cuts = [len(ranked) * number // bins for number in range(bins + 1)]
    parts = [ranked[start:end] for start, end in pairwise(cuts) if end > start]
    return [
        Bin(len(part), sum(said for said, _ in part) / len(part), sum(came for _, came in part) / len(part))
        for part in parts
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """How far what was said is from what came, on average (ECE)."""
    answers = sum(each.answers for each in bins)
    return sum(each.answers * abs(each.said - each.came) for each in bins) / answers
