"""What the engine does with a flow's own failures, and with flows that wait longer than due."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from operators.flow import Flow, Template, hours, minutes, on, send, wait
from operators.guards import Rules
from operators.simulate import simulate
from state import dead_letters
from state.customer import Customer
from state.dead_letters import DeadLetter
from state.events import ProductViewed
from tests.operators.shards import DAY, HOUR, MINUTE, START, Desk, agrees, desk, identify, track

NIGHT = Rules(quiet_from=21 * 60, quiet_to=8 * 60)
broken: list[bool] = []


def viewed(event: ProductViewed, customer: Customer) -> Mapping[str, Any]:
    if broken:
        raise RuntimeError(customer.traits.email)
    return {"product": event.product_id}


hint, later = Template("hint", viewed), Template("later", viewed)
views = Flow("views", enter=on(ProductViewed), steps=[send(hint), wait("a_while", hours(1)), send(later)])


def view(at: int) -> dict[str, Any]:
    return track("anna", at, "Product Viewed", product_id="p1")


def letters(shop: Desk) -> list[DeadLetter]:
    return [dead_letters.from_json(row.value) for row in shop.outbox("dead-letters")]


def test_a_message_put_off_that_fails_is_given_back_alone_and_nothing_is_decided_twice(tmp_path: Path) -> None:
    evening, morning = START + 10 * HOUR, START + 20 * HOUR
    with desk(tmp_path, views, clock="replay", wall=START + DAY, rules=NIGHT) as shop:
        shop.events(identify("anna"), agrees("anna"), view(evening))
        broken.append(True)
        shop.clock_at(morning + 1)
        broken.clear()
        told = letters(shop)
        assert [letter.reason for letter in told] == ["flow_error", "flow_error"]
        assert "anna" not in "".join(letter.error for letter in told)
        for letter in told:
            shop.records([(b"anna", dead_letters.to_json(letter))], "internal")
        shop.clock_at(morning + 2)
        decided = [(one.message, one.outcome) for one in shop.decided("anna")]
        assert sorted(decided) == [("hint", "defer"), ("hint", "send"), ("later", "defer"), ("later", "send")]
        assert len({one.decision_id for one in shop.decided("anna")}) == 4


def test_a_failure_at_a_wake_keeps_her_where_she_is_until_it_is_given_back(tmp_path: Path) -> None:
    with desk(tmp_path, views, clock="replay", wall=START + DAY) as shop:
        shop.events(identify("anna"), agrees("anna"), view(START))
        broken.append(True)
        shop.clock_at(START + HOUR + 1)
        broken.clear()
        shop.clock_at(START + 5 * HOUR)
        (letter,) = letters(shop)
        assert (letter.topic, letter.wait, letter.flow, letter.customer) == ("timer", "a_while", "views", "anna")
        assert base64.b64decode(letter.bytes) == b""
        shop.records([(b"anna", dead_letters.to_json(letter))], "internal")
        assert [(one.message, one.at[11:16]) for one in shop.decided("anna")] == [("hint", "12:00"), ("later", "13:00")]
        shop.records([(b"anna", dead_letters.to_json(letter))], "internal")
        assert len(shop.decided("anna")) == 2


def test_one_flow_that_fails_does_not_keep_another_from_deciding() -> None:
    def fails(event: ProductViewed, customer: Customer) -> Mapping[str, Any]:
        raise KeyError(customer.traits.email)

    fragile = Flow("fragile", enter=on(ProductViewed), priority=9, steps=[send(Template("fragile", fails))])
    both = simulate(fragile, views).at(hours(0), ProductViewed(product_id="p1"))
    assert [told.message for told in both.decided()] == ["hint", "later"]
    (fault,) = both.faults()
    assert fault.flow == "fragile"
    assert fault.error.startswith("KeyError\n")
    assert "in fails" in fault.error
    assert "anna" not in fault.error


def test_a_flow_with_grace_waits_for_late_events_and_others_behind_it_wait_with_it(tmp_path: Path) -> None:
    patient = Flow("patient", enter=on(ProductViewed), grace=hours(1), steps=[wait("ten", minutes(10)), send(hint)])
    brisk = Flow("brisk", enter=on(ProductViewed), steps=[wait("twenty", minutes(20)), send(later)])
    with desk(tmp_path, patient, brisk, clock="replay", wall=START + DAY, publishes=False) as shop:
        shop.events(identify("anna"), agrees("anna"), view(START))
        shop.clock_at(START + 70 * MINUTE)
        assert shop.shard.made == []
        shop.clock_at(START + 70 * MINUTE + 1)
        assert [(one.message, one.at[11:16]) for one in shop.shard.made] == [("hint", "12:10"), ("later", "12:20")]
