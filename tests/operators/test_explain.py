"""Two ways it may have gone, and a note that tells which: what explain makes of late events and of the past."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from flows.abandoned_cart import abandoned_cart
from flows.messages import cart_offer, cart_reminder
from operators.explain import explain
from operators.flow import Flow, arm, experiment, hours, minutes, on, send
from operators.guards import Rules
from operators.memory import Memory, Recalled, Taken
from operators.program import Program
from operators.simulate import START, Simulation, happening, simulate
from operators.trace import Entry
from state.arrivals import Late
from state.carts import CartChanged
from state.customer import Assigned
from state.decisions import Decision
from state.events import Event, Identified
from state.ids import Ids
from state.messages import Delivery
from state.records import TopicPartition

MINUTE = 60_000
IDS = Ids(b"simulation")
CART = happening("Product Added", product_id="p1", cart_id="k1", price=5)
ORDER = happening("Order Completed", order_id="o1", cart_id="k1")


def filled() -> Simulation:
    """What she did; in `explain` her consent and address come from events too."""
    return simulate(abandoned_cart).at(hours(0), msgspec.structs.replace(CART, id="cart"))


def taken(event: Event, name: str, at: int, wall: int, offset: int) -> Taken:
    happened = msgspec.structs.replace(event, id=name, customer="anna", at=START + at)
    return Taken(START + wall, "clickstream", 0, offset, happened)


def told(
    inputs: list[Taken],
    stored: Iterable[Decision],
    *,
    until: int,
    clock: str = "live",
    delay: int = 50,
    flow: Flow[Any] = abandoned_cart,
    arms: Mapping[str, Assigned] | None = None,
    late: Iterable[Late] = (),
    published: int | None = None,
) -> list[Entry]:
    decisions = list(stored)
    program = Program([flow])
    versioned = [msgspec.structs.replace(each, flow_version=program.versions[each.flow]) for each in decisions]
    memory = Memory(
        customer="anna",
        inputs=inputs,
        decisions={each.decision_id: Recalled(each, published) for each in versioned},
        watermarks={TopicPartition("clickstream", 0): 100, TopicPartition("deliveries", 0): 100},
        arms=arms or {},
        late={each.place: each for each in late},
    )
    return explain(
        program,
        Rules(),
        IDS,
        memory,
        clock="live" if clock == "live" else "replay",
        until=START + until,
        clock_now=START + until,
        wall_now=START + until + delay,
    )


def known(offset: int = 0) -> list[Taken]:
    identified = Identified(email="anna@example.com")
    consent = happening("Consent Granted", channel="email", topic="marketing")
    return [taken(identified, "who", -MINUTE, -MINUTE, offset), taken(consent, "yes", -MINUTE, -MINUTE, offset + 1)]


def test_a_late_order_came_after_the_reminder_where_it_is_noted() -> None:
    inputs = [*known(), taken(CART, "cart", 0, 0, 2), taken(ORDER, "order", 59 * MINUTE, 65 * MINUTE, 3)]
    reminder = filled().decisions(minutes(90))
    late = Late(inputs[-1].place, START + 24 * 60 * MINUTE, None)
    entries = told(inputs, reminder, until=100 * MINUTE, late=[late])
    story = [entry.what for entry in entries if entry.flow == "abandoned_cart" and entry.what != "guard"]
    assert story == ["entered", "parked", "wait_ended", "decision", "handed_on", "parked", "left", "withdrawn", "rests"]
    assert {entry.stored for entry in entries if entry.what == "decision"} == {"same"}


def test_a_late_order_came_before_the_reminder_where_nothing_is_noted() -> None:
    inputs = [*known(), taken(CART, "cart", 0, 0, 2), taken(ORDER, "order", 59 * MINUTE, 65 * MINUTE, 3)]
    entries = told(inputs, [], until=100 * MINUTE)
    assert [entry.what for entry in entries if entry.flow == "abandoned_cart"] == ["entered", "parked", "left"]
    assert not any(entry.what == "difference" or entry.stored for entry in entries)


def test_an_arm_that_she_got_under_other_shares_is_told_as_hers() -> None:
    def offer(*shares: float) -> Flow[Any]:
        arms = [arm(t.name, share, send(t)) for t, share in zip((cart_offer, cart_reminder), shares, strict=True)]
        return Flow("offer", enter=on(CartChanged), steps=[experiment("offer", *arms)])

    inputs = [*known(), taken(CART, "cart", 0, 0, 2)]
    then = simulate(offer(0, 100)).at(hours(0), msgspec.structs.replace(CART, id="cart"))
    arms = then.customer().arms
    assert arms["offer"].arm == "cart_reminder"
    entries = told(inputs, then.decisions(), until=MINUTE, flow=offer(100, 0), arms=arms)
    decided = [(entry.message, entry.stored) for entry in entries if entry.what in ("decision", "difference")]
    assert decided == [("cart_reminder", "same")]


def test_what_was_decided_just_in_time_and_published_just_after_is_told_as_it_was() -> None:
    inputs = [*known(), taken(CART, "cart", 0, 0, 2)]
    reminder = filled().decisions(minutes(90))
    late = START + 60 * MINUTE + cart_reminder.within_ms + 5
    for decisions, outcome in ((reminder, "send"), (expired(reminder), "skip")):
        entries = told(inputs, decisions, until=late - START + 1, published=late)
        decision = next(entry for entry in entries if entry.what == "decision")
        assert (decision.outcome, decision.stored) == (outcome, "same")


def expired(decisions: list[Decision]) -> list[Decision]:
    return [msgspec.structs.replace(each, outcome="skip", reason="expired") for each in decisions]


def test_a_decision_the_store_does_not_hold_is_told_as_missing() -> None:
    entries = told([*known(), taken(CART, "cart", 0, 0, 2)], [], until=100 * MINUTE)
    assert [entry.stored for entry in entries if entry.what == "decision"] == ["missing"]


def test_a_decision_only_the_store_holds_is_told_where_it_was() -> None:
    entries = told(known(), filled().decisions(minutes(90)), until=100 * MINUTE)
    assert [(entry.what, entry.stored) for entry in entries if entry.decision_id] == [("difference", "only")]


def test_an_outcome_that_differs_is_shown_beside_that_of_the_store() -> None:
    stored = filled().without_consent().decisions(minutes(90))
    entries = told([*known(), taken(CART, "cart", 0, 0, 2)], stored, until=100 * MINUTE)
    decision = next(entry for entry in entries if entry.what == "decision")
    assert (decision.outcome, decision.stored) == ("send", "differs")
    assert decision.holds == "skip: no_consent at 2026-01-05T13:00:00.000Z"


def test_what_no_worker_has_taken_in_yet_is_not_told_as_if_it_had() -> None:
    late = taken(CART, "cart", 0, 0, 100)
    entries = told([*known(), late], [], until=100 * MINUTE)
    assert entries[-1].what == "not_taken"
    assert not any(entry.what == "entered" for entry in entries)


def test_on_the_logs_own_time_a_delivery_is_not_told_before_its_message_was_sent() -> None:
    stored = filled().decisions(minutes(90))
    result = Delivery(
        message_id=stored[0].message_id, at="2026-01-05T12:00:01.000Z", attempt=1, provider="smtp", result="accepted"
    )
    inputs = [*known(), taken(CART, "cart", 0, 0, 2), Taken(START + 1000, "deliveries", 0, 0, result)]
    before = told(inputs, stored, until=30 * MINUTE, clock="replay")
    assert [entry.what for entry in before if entry.what in ("delivery", "decision")] == []
    after = told(inputs, stored, until=90 * MINUTE, clock="replay")
    assert [entry.what for entry in after if entry.what in ("delivery", "decision")] == ["decision", "delivery"]
    assert not any(entry.what == "difference" for entry in after)
