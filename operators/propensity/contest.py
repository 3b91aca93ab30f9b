"""Whether what was learnt since is better than what is published, judged by the outcomes themselves.

The published version (the champion) and the learning one say each what they expect before an outcome is learnt from.
Only where the learning one's log loss is lower by evidence is it published; the first champion is the share of those
who did so far, which a model must beat to be worth anything.  River's ADWIN watches the loss for a shop that changed.
"""

from __future__ import annotations

import logging
from functools import cached_property
from math import sqrt
from typing import Any, Literal

import msgspec

from operators.propensity.forecasts import Forecasts
from operators.propensity.linear import Linear, log_loss, logistic

log = logging.getLogger("impuls.propensity")

Target = Literal["buys", "stays_away"]
OUTCOMES_MIN = 500  # between two looks at the evidence
_EVIDENCE = 4.0  # standard errors; outcomes of one visitor resemble each other, so more than for strangers
_FADE = 0.01
_DRIFT = 1e-6  # how often ADWIN may be wrong; outcomes of one day resemble each other too


class Score(msgspec.Struct, kw_only=True):
    """Of one target: how the two compare since the champion was published; `loss` fades, for who watches."""

    outcomes: int = 0
    came: int = 0
    compared: int = 0
    gain: float = 0.0  # sums of the champion's loss less the learner's, and of its square
    gain_squared: float = 0.0
    loss: float = 0.0
    drifts: int = 0
    better: bool = False  # the learner, at the last look at the evidence


class Standing(msgspec.Struct, kw_only=True):
    """The whole of a contest as a value.  Drift is watched anew after a start: ADWIN has no plain form."""

    champion: Forecasts = Forecasts()
    buys: Score = msgspec.field(default_factory=Score)
    stays_away: Score = msgspec.field(default_factory=Score)


class Contest:
    def __init__(self, standing: Standing) -> None:
        self.standing = standing

    @cached_property
    def _watch(self) -> dict[Target, Any]:
        from river.drift import ADWIN  # here, since it takes two seconds to import, and there may be nothing to judge

        make: Any = ADWIN  # which River left untyped
        return {"buys": make(_DRIFT), "stays_away": make(_DRIFT)}

    def score(self, target: Target) -> Score:
        return self.standing.buys if target == "buys" else self.standing.stays_away

    def judge(self, target: Target, features: dict[str, float], said: float, came: bool) -> None:
        """`said` by the learner, before it learnt this outcome."""
        score = self.score(target)
        champion: Linear = getattr(self.standing.champion, target)
        share = (score.came + 1) / (score.outcomes + 2)
        loss = log_loss(said, came)
        against = log_loss(champion.chance(features) if champion.outcomes else _within(share), came)
        score.outcomes += 1
        score.came += came
        score.compared += 1
        score.gain += against - loss
        score.gain_squared += (against - loss) ** 2
        if score.compared % OUTCOMES_MIN == 0:
            score.better = _is_better(score)
        score.loss += (loss - score.loss) * max(_FADE, 1 / score.outcomes)
        self._look_for_drift(target, score, (said - came) ** 2)

    def is_decided(self) -> bool:
        """Whether the learner is better by evidence, at one target at least."""
        return self.standing.buys.better or self.standing.stays_away.better

    def publish(self, learnt: Forecasts) -> Forecasts:
        """The new champion: of each target what is better by evidence, the rest as it was.  The contest begins anew."""
        old = self.standing.champion
        changes = {}
        for target in ("buys", "stays_away"):
            score = self.score(target)
            if score.better:
                changes[target] = getattr(learnt, target)
                score.compared, score.gain, score.gain_squared, score.better = 0, 0.0, 0.0, False
        rest = {"number": old.number + 1, "at": learnt.at, "basket": learnt.basket, "hours": learnt.hours}
        self.standing.champion = msgspec.structs.replace(old, **changes, **rest)
        return self.standing.champion

    def _look_for_drift(self, target: Target, score: Score, error: float) -> None:
        """ADWIN's bound holds for values from 0 to 1, which a log loss is not: hence the squared error."""
        watch = self._watch[target]
        before = watch.estimation
        watch.update(error)
        if watch.drift_detected and watch.estimation > before:
            score.drifts += 1
            log.warning(
                "predictions drift",
                extra={"target": target, "error": round(watch.estimation, 4), "error_before": round(before, 4)},
            )


def _is_better(score: Score) -> bool:
    """Looked at only so often: whoever looks at every outcome sees evidence sooner or later where there is none."""
    n = score.compared
    mean = score.gain / n
    spread = sqrt(max(score.gain_squared / n - mean * mean, 1e-12) / n)
    return mean > _EVIDENCE * spread


def _within(share: float) -> float:
    return min(max(share, logistic(-12)), logistic(12))
