"""A published version of all that is predicted of visitors: one plain value, the same for whoever asks it."""

from __future__ import annotations

from math import exp

import msgspec

from operators.propensity.features import features
from operators.propensity.habits import Habits
from operators.propensity.linear import Linear

FORMAT = 1
_OWN_VISITS = 8.0  # so many of her visits count as much as all of the shop's
_KERNEL = ((-1, 0.25), (0, 0.5), (1, 0.25))


class Forecasts(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Fields are only ever added, with a default.  `number` counts the versions; `at` is event time (ms)."""

    format: int = FORMAT
    number: int = 0
    at: int = 0
    buys: Linear = Linear()
    stays_away: Linear = Linear()
    basket: Linear = Linear()
    hours: tuple[float, ...] = (1 / 24,) * 24  # when the shop's visitors come, UTC

    def chance_to_buy(self, habits: Habits, now: int) -> float:
        """That she orders within 7 days."""
        return self.buys.chance(features(habits, now))

    def chance_to_stay_away(self, habits: Habits, now: int) -> float:
        """That she does not come within 60 days."""
        return self.stays_away.chance(features(habits, now))

    def expected_order(self, habits: Habits, now: int) -> int:
        """What her next order is worth, in minor units of the shop's currency; 0 while no order had a price."""
        return round(exp(self.basket.total(features(habits, now)))) if self.basket.outcomes else 0

    def best_hour(self, habits: Habits) -> int:
        """The hour (UTC) in which she comes most, as far as she is known, else the shop's; the earliest of several."""
        mine = [own + _OWN_VISITS * shop for own, shop in zip(habits.hours, self.hours, strict=True)]
        smooth = [sum(part * mine[(hour + by) % 24] for by, part in _KERNEL) for hour in range(24)]
        return max(range(24), key=lambda hour: (round(smooth[hour], 9), -hour))


_decoder = msgspec.json.Decoder(Forecasts)


def to_bytes(forecasts: Forecasts) -> bytes:
    return msgspec.json.format(msgspec.json.encode(forecasts, order="deterministic"), indent=1)


def from_bytes(stored: bytes) -> Forecasts:
    """Raises `ValueError` for what is no model, and for one that a newer version wrote."""
    try:
        found = _decoder.decode(stored)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a model of propensities ({error})") from None
    if found.format > FORMAT:
        raise ValueError(f"written by a newer version (format {found.format}, this one knows {FORMAT})")
    return found
