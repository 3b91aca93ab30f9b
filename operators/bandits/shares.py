"""From what is known of the arms to the share of each.  Pure: the same evidence gives the same shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from operators.bandits.evidence import Evidence
from operators.bandits.learning import Learning, State

POINTS = 512
DIGITS = 6  # of a published share; they add up to one exactly in what `drawn` makes of them


class Shares(NamedTuple):
    """`by_arm` adds up to one.  `settled`: exploring has cost what it may, so the best arm gets all."""

    by_arm: dict[str, float]
    state: State
    regret: float
    stopped: tuple[str, ...]


def shares(arms: Mapping[str, Evidence], learning: Learning, lost: float | None = None) -> Shares:
    """The share of each arm from now on.  `lost`: the regret so far, where it was in more than these (all contexts)."""
    rails = learning.rails
    best = dict(zip(arms, _best([(1 + a.rewards, 1 + a.failures) for a in arms.values()]), strict=True))
    leads = max(arms, key=lambda name: (best[name], name))  # goes on, whatever the rails say: somebody has to
    stopped = tuple(
        name for name in arms if name != leads and best[name] < rails.stop_below and arms[name].asked >= rails.tries_min
    )
    running = [name for name in arms if name not in stopped]
    lost = regret(arms) if lost is None else lost
    if rails.regret_max is not None and lost >= rails.regret_max:
        first = max(running, key=lambda name: (arms[name].mean, name))
        return Shares({name: float(name == first) for name in arms}, "settled", lost, stopped)
    wanted = _greedy(arms, running, learning.epsilon) if learning.kind == "epsilon_greedy" else best
    return Shares(_railed(arms, running, wanted, rails.floor), "learning", lost, stopped)


def regret(arms: Mapping[str, Evidence]) -> float:
    """How many rewards fewer than if the arm that now looks best had always been chosen."""
    most = max((arm.mean for arm in arms.values()), default=0.0)
    return sum(arm.asked * (most - arm.mean) for arm in arms.values())


def _greedy(arms: Mapping[str, Evidence], running: list[str], epsilon: float) -> dict[str, float]:
    first = max(running, key=lambda name: (arms[name].mean, name))
    return {name: epsilon / len(running) + (1 - epsilon) * (name == first) for name in running}


def _railed(
    arms: Mapping[str, Evidence], running: list[str], wanted: Mapping[str, float], floor: float
) -> dict[str, float]:
    """Nobody that runs below the floor; what that takes is taken from all in proportion."""
    floor = min(floor, 1 / len(running))
    total = sum(wanted[name] for name in running)
    left = 1 - floor * len(running)
    made = {name: round(floor + left * wanted[name] / total, DIGITS) if name in running else 0.0 for name in arms}
    largest = max(running, key=lambda name: made[name])
    made[largest] = round(made[largest] + 1 - sum(made.values()), DIGITS)
    return made


def _best(posteriors: list[tuple[float, float]]) -> list[float]:
    """The probability of each Beta variable to be the greatest, by quadrature over its own quantiles: no sampling, so
    the shares are exact and the same again."""
    quantiles = (np.arange(POINTS) + 0.5) / POINTS
    chances = []
    for mine, (a, b) in enumerate(posteriors):
        x: npt.NDArray[np.float64] = special.betaincinv(a, b, quantiles)
        others = [special.betainc(c, d, x) for other, (c, d) in enumerate(posteriors) if other != mine]
        chances.append(float(np.mean(np.prod(others, axis=0))) if others else 1.0)
    total = sum(chances)
    return [chance / total for chance in chances]
