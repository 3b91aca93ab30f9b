"""From candidates with scores to the few that are shown, best first."""

from __future__ import annotations

from collections.abc import Iterator


def best(scores: dict[str, float], limit: int) -> list[tuple[str, float]]:
    """The highest, equal ones by name, so that the order is the same each time."""
    chosen = list(scores.items())
    if 0 < limit < len(scores):
        least = sorted(scores.values())[-limit]
        chosen = [scored for scored in chosen if scored[1] >= least]
    chosen.sort(key=_order)
    return chosen[:limit]


def in_order(scores: dict[str, float], likely: int) -> Iterator[tuple[str, float]]:
    """All, best first; cheap as long as no more than the `likely` number is taken."""
    yield from best(scores, likely)
    if 0 < likely < len(scores):
        yield from sorted(scores.items(), key=_order)[likely:]


def _order(scored: tuple[str, float]) -> tuple[float, str]:
    return -scored[1], scored[0]
