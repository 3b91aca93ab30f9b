"""In which order messages are tried again."""

from __future__ import annotations

from pathlib import Path

from tests.operators.shards import MINUTE, START, desk
from tests.operators.tries import ADDED, RULES, VIEWED, WHO, as_well, at_once, made, told


def test_retries_are_made_in_the_order_in_which_they_are_due(tmp_path: Path) -> None:
    """Else the gap between them would not be kept: a message minds only those that were to be sent before it."""
    with desk(tmp_path, at_once, as_well, rules=RULES) as shop:
        shop.clock_at(START)
        shop.events(*WHO, VIEWED)
        told(shop, 0, "deferred", retry_after_seconds=90)
        shop.events(ADDED)
        told(shop, 1, "deferred", retry_after_seconds=60)
        shop.wall.ms = START + 5 * MINUTE
        shop.clock_at(START + 5 * MINUTE)
        tried = [(each.message, each.outcome, each.reason) for each in made(shop)[-2:]]
    assert tried == [("as_well", "send", ""), ("at_once", "defer", "min_gap")]
