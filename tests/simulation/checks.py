"""What must be true at the end of every life, however it went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from math import inf
from typing import NamedTuple

from operators.breaker import NeverStops
from operators.effects import Effects
from operators.engine import Arrived, Engine
from operators.guards import Rules
from state.customer import Customer
from state.decisions import Cause, Decision
from state.decode import Decoder, Rejected
from state.instants import parse_instant
from tests.simulation.world import IDS, PROGRAM, Accidents, World


class Wish(NamedTuple):
    """A message as it was first decided."""

    customer: str
    message: str
    at: str
    outcome: str
    reason: str


def live(seed: int, accidents: Accidents | None = None, rules: Rules | None = None) -> World:
    """Play one life and check it; raises `AssertionError`, with the seed in its text, where a promise broke."""
    world = World(seed, accidents, rules=rules)
    try:
        world.run()
        check(world, expected(world))
        heeded(world)
    except Exception as error:
        raise AssertionError(f"seed {seed}: {error}") from error
    return world


def heeded(world: World) -> None:
    """Nothing was tried again that she had left before the moment of the retry, whenever that was read."""
    stored = world.decided()
    first = {each.message_id: each.at for each in stored if each.decision_id.endswith("-0")}
    for decision in stored:
        since = first.get(decision.message_id, decision.at)
        if decision.outcome == "send" and decision.at > since:
            assert not _left(world, decision, since), f"{decision.decision_id} was tried again, and she had left"


def check(world: World, wanted: Counter[Wish], over: Collection[str] = ()) -> None:
    """`over`: messages that were of no more use when their provider took some again.

    Where a shard had decided that such a one is to be sent, was put back before it was handed on, and came to it again
    when it was of no more use, it tells so; nobody is told anything twice by that.
    """
    stored, told = world.decided(), world.told()
    first = Counter(_wish(decision) for decision in stored if decision.decision_id.endswith("-0"))
    assert first == wanted, f"missing {wanted - first}, invented {first - wanted}"
    by_id: dict[str, Decision] = {}
    for decision in told:
        before = by_id.setdefault(decision.decision_id, decision)
        if decision.decision_id.endswith("-0"):
            is_over = decision.message_id in over and not world.courier.accepted[decision.message_id]
            may_differ = is_over and "expired" in (before.reason, decision.reason)
            assert may_differ or _wish(before) == _wish(decision), f"{decision.decision_id} was told in two ways"
    assert {each.decision_id for each in stored} <= by_id.keys(), "a decision was never told"
    courier = world.courier
    for decision in stored:
        name = decision.message_id
        if decision.decision_id.endswith("-0") and decision.outcome == "send":
            given_up = name in courier.refused or name in over or _expired(stored, name) or _left(world, decision)
            assert courier.accepted[name] or given_up, f"{name} was decided and never accepted"
            most = 1 + courier.unknown[name]
            assert courier.accepted[name] <= most, f"{name} was accepted {courier.accepted[name]} times, not {most}"
    decided = {decision.message_id for decision in stored}
    assert set(courier.accepted) <= decided, "a message was sent that nobody decided"


def expected(world: World) -> Counter[Wish]:
    """What each customer's events, taken in order with nothing in between, lead to."""
    found: Counter[Wish] = Counter()
    decoder = Decoder("PLN")
    engine = Engine(PROGRAM, world.rules, IDS, breaker=NeverStops(), clock="replay", sends=False)
    customers: dict[str, tuple[Customer, Effects]] = {}
    for offset, (at, topic, key, body) in enumerate(world.events):
        name = person(key)
        customer, effects = customers.setdefault(name, (Customer(id=name), Effects()))
        now = round(at * 1000)
        event = decoder.decode(body, key=name.encode(), topic=topic, partition=0, offset=offset, now=now)
        assert not isinstance(event, Rejected)
        engine.wake(customer, now, now, effects)
        engine.on_event(customer, Arrived(event, Cause(topic, 0, offset)), now, effects)
    for customer, effects in customers.values():
        engine.wake(customer, 1 << 60, 1 << 60, effects)
        found.update(_wish(decision) for decision in effects.decisions if decision.decision_id.endswith("-0"))
    return found


def person(customer: str) -> str:
    """Who somebody is, also before she says so."""
    return customer.removeprefix("a-")


def _wish(decision: Decision) -> Wish:
    return Wish(decision.customer, decision.message, decision.at, decision.outcome, decision.reason)


def _expired(stored: list[Decision], name: str) -> bool:
    return any(each.message_id == name and each.reason == "expired" for each in stored)


def _left(world: World, decision: Decision, since: str = "") -> bool:
    """Whether she left the passage (or started it again) after the decision: what failed then is not tried again.

    With `since`: after that moment, and before that of the decision.
    """
    began = parse_instant(since or decision.at) / 1000
    until = parse_instant(decision.at) / 1000 if since else inf
    return decision.flow == "reminders" and any(
        person(customer) == person(decision.customer)
        and began <= at <= until
        and (b"Product" in body or b"Order" in body)
        for at, _, customer, body in world.events
    )
