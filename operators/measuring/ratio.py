"""Did as many customers get into each arm as should have?  If not, no other number of the experiment counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

CONCENTRATIONS = {1000.0: 0.9, 5.0: 0.1}
"""How near the shares the alternatives are expected, with their weights: within a few percent, or anywhere, as where an
arm gets nobody at all."""


class SampleRatio(NamedTuple):
    """`e_value`: evidence against the shares; `p_value`: 1 / e_value.  Both may be looked at at any time."""

    p_value: float
    e_value: float


def sample_ratio(counts: Sequence[int], shares: Sequence[float]) -> SampleRatio:
    """The sample-ratio test of counts per arm against the shares they were drawn with (any positive numbers).

    Dirichlet mixtures over multinomials, a martingale as long as the shares are right, so that by Ville's
    inequality the e-value ever reaches 1/α with probability α at most.  (M. Lindon and A. Malek, Anytime-valid
    inference for multinomial count data, NeurIPS 2022.)
    """
    if len(counts) != len(shares):
        raise ValueError(f"{len(counts)} counts for {len(shares)} shares. Give one share for each arm.")
    if not all(share > 0 for share in shares):
        raise ValueError(f"The shares are {list(shares)}. An arm that nobody should get into is no arm: leave it out.")
    centre = [share / math.fsum(shares) for share in shares]
    parts = [math.log(weight) + log_evidence(counts, centre, near) for near, weight in CONCENTRATIONS.items()]
    log_e = max(parts) + math.log(math.fsum(math.exp(part - max(parts)) for part in parts))
    return SampleRatio(math.exp(min(0.0, -log_e)), math.exp(min(700.0, log_e)))


def log_evidence(counts: Sequence[float], shares: Sequence[float], concentration: float) -> float:
    """Logarithm of the mixture's e-value against these shares, which add up to one."""
    return log_mixture(counts, shares, concentration) - math.fsum(
        count * math.log(share) for count, share in zip(counts, shares, strict=True)
    )


def log_mixture(counts: Sequence[float], centre: Sequence[float], concentration: float) -> float:
    """Log-likelihood of an order of these counts under Dirichlet(concentration · centre)."""
    parts = [
        math.lgamma(concentration * share + count) - math.lgamma(concentration * share)
        for count, share in zip(counts, centre, strict=True)
    ]
    return math.fsum(parts) + math.lgamma(concentration) - math.lgamma(concentration + sum(counts))
