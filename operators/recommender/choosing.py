"""From candidates with scores to the few that are shown, best first."""

from __future__ import annotations


def best(scores: dict[str, float], limit: int) -> list[tuple[str, float]]:
    """The highest, equal ones by name, so that the order is the same each time."""
    chosen = list(scores.items())
    if 0 < limit < len(scores):
        least = sorted(scores.values())[-limit]
        chosen = [scored for scored in chosen if scored[1] >= least]
    chosen.sort(key=_order)
    return chosen[:limit]


def _order(scored: tuple[str, float]) -> tuple[float, str]:
    return -scored[1], scored[0]
