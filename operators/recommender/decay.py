"""Forward decay: instead of shrinking what is old, what is new counts more (Cormode et al., ICDE 2009).

So an event touches its own weights only, weights of one kind compare whenever they were written, and nothing has to be
rescaled: with a half-life of 30 days a float holds the years from 1915 to 2084.
"""

from __future__ import annotations

DAY_MS = 86_400_000
HALF_LIFE_MS = 30 * DAY_MS
EPOCH_MS = 946_684_800_000  # the first of January 2000, where a weight of one is one
_DOUBLINGS_MAX = 1000.0


def gain(at: int) -> float:
    """What an event at this moment counts, as all weights are kept; divide by the gain of now to read them."""
    doublings = (at - EPOCH_MS) / HALF_LIFE_MS
    if not -_DOUBLINGS_MAX < doublings < _DOUBLINGS_MAX:
        doublings = _DOUBLINGS_MAX if doublings > 0.0 else -_DOUBLINGS_MAX
    return float(2.0**doublings)
