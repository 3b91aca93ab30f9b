"""Judging one policy of the Open Bandit sample by the log of the other, whose own log then says what is true.

*Random* chose among all items alike, *bts* by Thompson sampling that had been learning; both logged propensities.
Random's choices are known for every item.  Those of bts are known for the item it took only, so its policy is taken to
be the shares it gave each item at each position over the week.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from operators.bandits.off_policy import Estimate, Values, doubly_robust, folds, ips, snips

MODEL_TRIES = 200.0
"""So many tries the average item's rate is worth in an item's own."""


@dataclass(frozen=True)
class Log:
    """One policy's decisions of one campaign."""

    items: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    clicks: Values
    propensities: Values

    def truth(self) -> Estimate:
        """What it earned, with an interval of its own."""
        return ips(self.clicks, np.ones(len(self.clicks)), np.ones(len(self.clicks)))


@dataclass(frozen=True)
class Judged:
    campaign: str
    log: str
    policy: str
    estimator: str
    estimate: Estimate
    truth: Estimate

    @property
    def is_within(self) -> bool:
        return self.estimate.low <= self.truth.value <= self.estimate.high


def read(path: Path) -> dict[tuple[str, str], Log]:
    """By campaign and policy."""
    rows: dict[tuple[str, str], list[tuple[int, int, float, float]]] = {}
    with gzip.open(path, "rt", newline="") as opened:
        for row in csv.DictReader(opened):
            rows.setdefault((row["campaign"], row["policy"]), []).append(
                (int(row["item_id"]), int(row["position"]), float(row["click"]), float(row["propensity_score"]))
            )
    logs = {}
    for name, found in rows.items():
        items, positions, clicks, propensities = zip(*found, strict=True)
        logs[name] = Log(np.array(items), np.array(positions), np.array(clicks), np.array(propensities))
    return logs


def judge(logs: dict[tuple[str, str], Log]) -> Iterator[Judged]:
    for campaign in sorted({campaign for campaign, _ in logs}):
        random, bts = logs[campaign, "random"], logs[campaign, "bts"]
        count = 1 + int(max(random.items.max(), bts.items.max()))
        uniform = np.full((len(bts.items), count), 1 / count)
        for log, policy, of, shares, truth in (
            ("random", "bts", random, _shares_of(bts, count)[random.positions], bts.truth()),
            ("bts", "random", bts, uniform, random.truth()),
        ):
            for estimator, estimate in _estimates(of, shares):
                yield Judged(campaign, log, policy, estimator, estimate, truth)


def _estimates(log: Log, shares: Values) -> Iterator[tuple[str, Estimate]]:
    """`shares`: for each decision of the log, the probability that the other policy gives each item."""
    rows = np.arange(len(log.items))
    target: Values = shares[rows, log.items]
    yield "IPS", ips(log.clicks, log.propensities, target)
    yield "SNIPS", snips(log.clicks, log.propensities, target)
    expected, of_target = np.zeros(len(rows)), np.zeros(len(rows))
    half = folds(len(rows))
    for side in (0, 1):
        model = _rates(log, half != side, shares.shape[1])
        expected[half == side] = model[log.items[half == side]]
        of_target[half == side] = shares[half == side] @ model
    yield "doubly robust", doubly_robust(log.clicks, log.propensities, target, expected, of_target)


def _rates(log: Log, rows: npt.NDArray[np.bool_], count: int) -> Values:
    """Each item's rate of clicks, drawn towards the average where little is known."""
    clicks = np.bincount(log.items[rows], log.clicks[rows], count)
    shown = np.bincount(log.items[rows], minlength=count)
    rates: Values = (clicks + MODEL_TRIES * float(np.mean(log.clicks[rows]))) / (shown + MODEL_TRIES)
    return rates


def _shares_of(log: Log, count: int) -> Values:
    """By position, how often each item was shown there."""
    shares = np.zeros((1 + int(log.positions.max()), count))
    np.add.at(shares, (log.positions, log.items), 1)
    found: Values = shares / np.maximum(1, shares.sum(axis=1, keepdims=True))
    return found
