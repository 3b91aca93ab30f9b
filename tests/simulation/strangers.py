"""Lives of people who are anonymous first: what they are to be told is as if they had been known from the start."""

from __future__ import annotations

from collections import Counter
from math import inf
from random import Random

from state import customer as customers
from state.instants import parse_instant
from tests.simulation.checks import Wish, check, expected, person
from tests.simulation.world import CUSTOMERS, START, Accidents, Happening, World, as_json, body_of, identify

FIRST_WAIT_SECONDS = 1.0  # of the reminders


def live(seed: int, accidents: Accidents | None = None) -> World:
    """Play one life and check it; raises `AssertionError`, with the seed in its text, where a promise broke."""
    world = World(seed, accidents, strangers)
    try:
        world.run()
        check(world, wanted(world))
        settled(world)
    except Exception as error:
        raise AssertionError(f"stranger {seed}: {error}") from error
    return world


def strangers(chance: Random) -> list[Happening]:
    found = []
    for name in CUSTOMERS:
        anonymous = f"a-{name}"
        at = START / 1000 + chance.uniform(0, 0.5)
        if chance.random() < 0.7:
            found.append((at, "clickstream", anonymous, identify(name, at, anonymous=True)))
        for number in range(chance.randint(0, 4)):
            at = round(at + chance.uniform(0.05, 1.2), 3)
            kind = chance.choice(("add", "add", "remove", "order", "consent"))
            found.append((at, "clickstream", anonymous, body_of(name, number, kind, at, anonymous=True)))
        at = round(at + chance.uniform(0.05, 1.2), 3)
        found.append((at, "clickstream", name, identify(name, at, claims=True)))
        has_agreed = any(b"Consent" in body for _, _, key, body in found if key == anonymous)
        too_late = inf
        for number in range(10, 10 + chance.randint(0, 5)):
            at = round(at + chance.uniform(0.05, 1.6), 3)
            if chance.random() < 0.4:
                # In a cart of its own: which of two partitions is read first, nobody promises.
                kind = chance.choice(("add", "add", "remove", "order"))
                body = body_of(name, number, kind, at, anonymous=True, cart="k2")
                found.append((at, "clickstream", anonymous, body))
                too_late = min(too_late, at + FIRST_WAIT_SECONDS)
            else:
                kind = chance.choice(("add", "add", "remove", "order", "consent"))
                if kind == "consent" and not has_agreed:
                    # Nor whether she agrees before an event of that cart is read whose wait ended by then: the shard
                    # that reads it may have been put back, and what she does as known is not held for it.
                    kind = "add" if at >= too_late else kind
                    has_agreed = kind == "consent"
                found.append((at, "clickstream", name, body_of(name, number, kind, at)))
        if chance.random() < 0.3:
            at = round(at + chance.uniform(0.05, 1), 3)
            found.append((at, "clickstream", name, as_json(name, "again", at, {"type": "identify"}, claims=True)))
    return sorted(found)


def wanted(world: World) -> Counter[Wish]:
    """What is decided before the moment of the claim is about the anonymous one, all else about the known one.

    A wait that ends at that very moment comes behind the gate.
    """
    since = {
        person(key): round(at * 1000)
        for at, _, key, body in reversed(world.events)
        if b'"identify"' in body and b'"userId"' in body
    }
    found: Counter[Wish] = Counter()
    for wish, count in expected(world).items():
        is_known = parse_instant(wish.at) >= since[wish.customer]
        found[wish if is_known else wish._replace(customer=f"a-{wish.customer}")] += count
    return found


def settled(world: World) -> None:
    """Nobody stands at a gate in the end, and nothing is left with who was anonymous."""
    for disk in world.disks:
        for key, raw in disk.items():
            if not key.startswith(b"C"):
                continue
            customer = customers.decode(raw)
            assert customer.joined is None or all(link.merged for link in customer.joined.links)
            if customer.alias is not None:
                assert not customer.alias.coming
                assert customer.alias.of == person(customer.id)
                assert not customer.carts
                assert not customer.passages
                assert not customer.pending
