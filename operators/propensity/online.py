"""The models that learn: River's linear ones over binned features.

Stochastic gradient descent with a constant step has no state but its weights, so an export is whole.  Steps that shrink
with time (AdaGrad, FTRL) cost two to five times as much here and predict no better.  River brings all of SciPy, two
seconds of it, so that it is loaded when there is something to learn and not when a process starts.
"""

from __future__ import annotations

from functools import cached_property
from math import exp, log
from typing import Any

from operators.propensity.linear import Linear, logistic

STEP = 0.01
_CALIBRATION_STEP = 0.003
_SMEARING_FADE = 0.01
_SMEARING_MAX = 5.0
_ORDER_BEGIN = log(5_000)


class Chance:
    """An online logistic regression, calibrated online by Platt's scaling of what it said before it learnt."""

    def __init__(self, begin: Linear | None = None) -> None:
        self._begin = begin = begin or Linear()
        self._slope, self._offset = begin.slope, begin.offset
        self.outcomes = begin.outcomes

    @cached_property
    def _model(self) -> Any:
        from river import linear_model, optim

        begin = self._begin.intercept
        model = linear_model.LogisticRegression(optim.SGD(STEP), intercept_init=begin, intercept_lr=STEP)
        model._weights = _weights(self._begin)
        return model

    def chance(self, features: dict[str, float]) -> float:
        return logistic(self._slope * self._model._raw_dot_one(features) + self._offset)

    def learn(self, features: dict[str, float], came: bool) -> float:
        """What it had said before."""
        raw = self._model._raw_dot_one(features)
        said = logistic(self._slope * raw + self._offset)
        step = _CALIBRATION_STEP * (said - came)
        self._slope = max(0.1, self._slope - step * raw)
        self._offset -= step
        self._model.learn_one(features, came)
        self.outcomes += 1
        return said

    def export(self) -> Linear:
        if self.outcomes == self._begin.outcomes:
            return self._begin
        model = self._model
        return Linear(dict(model.weights), float(model.intercept), self._slope, self._offset, self.outcomes)


class Amount:
    """An expected amount of money: an online regression of its logarithm.

    The mean of a logarithm is not the logarithm of the mean: what is left over is made up for by Duan's smearing.
    """

    def __init__(self, begin: Linear | None = None) -> None:
        self._begin = begin = begin or Linear(intercept=_ORDER_BEGIN)
        self.outcomes = begin.outcomes

    @cached_property
    def _model(self) -> Any:
        from river import linear_model, optim

        begin = self._begin.intercept
        model = linear_model.LinearRegression(optim.SGD(STEP), intercept_init=begin, intercept_lr=STEP)
        model._weights = _weights(self._begin)
        return model

    @cached_property
    def _smearing(self) -> Any:
        from river import stats

        smearing = stats.EWMean(_SMEARING_FADE)
        smearing.update(exp(self._begin.offset))
        return smearing

    def learn(self, features: dict[str, float], amount: int) -> None:
        left = log(amount) - self._model._raw_dot_one(features)
        self._smearing.update(min(exp(min(left, _SMEARING_MAX)), _SMEARING_MAX))
        self._model.learn_one(features, log(amount))
        self.outcomes += 1

    def export(self) -> Linear:
        if self.outcomes == self._begin.outcomes:
            return self._begin
        model, offset = self._model, log(max(self._smearing.get(), 0.2))
        return Linear(dict(model.weights), float(model.intercept), 1.0, offset, self.outcomes)


def _weights(begin: Linear) -> Any:
    """River has no other door for known weights; and a VectorDict learns into the very dict that it is given."""
    from river.utils import VectorDict

    return VectorDict(dict(begin.weights))
