"""From candidates with scores to the few that are shown, best first."""

from __future__ import annotations

from heapq import nlargest


def best(scores: dict[str, float], limit: int) -> list[tuple[str, float]]:
    """The highest, equal ones by name, so that the order is the same each time."""
    if len(scores) > limit:
        least = nlargest(limit, scores.values())[-1]
        chosen = [(product, score) for product, score in scores.items() if score >= least]
    else:
        chosen = list(scores.items())
    chosen.sort(key=_order)
    return chosen[:limit]


def _order(scored: tuple[str, float]) -> tuple[float, str]:
    return -scored[1], scored[0]
