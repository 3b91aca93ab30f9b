"""Lives in which the provider takes nothing for hours: what waits is tried again until it is of no more use."""

from __future__ import annotations

import json
from collections import Counter
from random import Random

from operators.results import BACKOFF_MS_MAX
from operators.sending import FRESH_MS
from state.instants import parse_instant
from tests.simulation.checks import Wish, check, expected
from tests.simulation.world import (
    CUSTOMERS,
    PROGRAM,
    START,
    Accidents,
    Happening,
    Outage,
    World,
    body_of,
    identify,
)

HOUR = 3600.0
HOURS_MAX = 6.0
STEP_SECONDS = 120.0
RAMP_TRIES = 9  # until they are half of the longest pause apart
LATE_SECONDS = 2 * BACKOFF_MS_MAX / 1000  # from the provider's return until the last that waited was tried


def live(seed: int, accidents: Accidents | None = None) -> World:
    """Play one life and check it; raises `AssertionError`, with the seed in its text, where a promise broke."""
    chance = Random(f"outage/{seed}")
    since = START / 1000 + chance.uniform(0.2, 3)
    outage = Outage(since, since + chance.uniform(0.5, HOURS_MAX) * HOUR, STEP_SECONDS)
    world = World(seed, accidents, lambda chance: _events(chance, outage), outage)
    try:
        world.run()
        over = {name for name, until in _useful_to(world).items() if until < outage.until + LATE_SECONDS}
        check(world, _wanted(world), over)
        waited(world, outage)
    except Exception as error:
        raise AssertionError(f"outage {seed}: {error}") from error
    return world


def waited(world: World, outage: Outage) -> None:
    """What waited came while it was of use; nothing was given up that was; nobody knocked too often."""
    useful_to = _useful_to(world)
    for name, at in world.courier.accepted_at.items():
        assert at <= useful_to[name] + FRESH_MS / 1000, f"{name} was accepted when it was of no more use"
    for name in {each.message_id for each in world.decided() if each.reason == "expired"}:
        world.accidents.hit["expired"] += 1
        assert useful_to[name] < outage.until + LATE_SECONDS, f"{name} was given up while it was of use"
    hours = (outage.until - outage.since) / HOUR
    tries_max = RAMP_TRIES + hours * HOUR / (BACKOFF_MS_MAX / 1000 / 2) + world.accidents.hit["courier"]
    for name, tries in world.courier.in_vain.items():
        world.accidents.hit["in_vain"] += tries
        assert tries <= tries_max, f"{name} was tried {tries} times in {hours:.1f} hours"


def _wanted(world: World) -> Counter[Wish]:
    """What is expected, but for what no shard had come to before it was of no more use: nobody was told of that."""
    handed_on = {json.loads(raw)["message_id"] for raw in world.log.values("messages")}
    found = expected(world)
    for decision in world.decided():
        is_first = decision.decision_id.endswith("-0")
        if is_first and decision.reason == "expired" and decision.message_id not in handed_on:
            world.accidents.hit["too_late"] += 1
            wish = Wish(decision.customer, decision.message, decision.at, decision.outcome, decision.reason)
            found[wish._replace(outcome="send", reason="")] -= 1
            found[wish] += 1
    return +found


def _useful_to(world: World) -> dict[str, float]:
    """Wall seconds, by message."""
    firsts = [each for each in world.decided() if each.decision_id.endswith("-0")]
    return {
        each.message_id: (parse_instant(each.at) + PROGRAM.templates[each.message].within_ms) / 1000 for each in firsts
    }


def _events(chance: Random, outage: Outage) -> list[Happening]:
    """A few visits of each, before the outage and all through it."""
    found: list[Happening] = []
    for customer in CUSTOMERS:
        at = START / 1000 + chance.uniform(0, 0.5)
        found.append((at, "clickstream", customer, identify(customer, at)))
        for number in range(chance.randint(2, 9)):
            pause = chance.uniform(0.05, 1.6)
            if chance.random() < 0.3:
                pause = chance.uniform(1, (outage.until - outage.since) / 3)
            at = round(at + pause, 3)
            if at > outage.until:
                break
            kind = chance.choice(("add", "add", "add", "remove", "order", "consent", "consent"))
            found.append((at, "clickstream", customer, body_of(customer, number, kind, at)))
    return sorted(found)
