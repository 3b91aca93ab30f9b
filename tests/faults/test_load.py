"""The load of the proofs gives every flow something to decide, while faults are tried and not only afterwards."""

from __future__ import annotations

from itertools import islice

from benchmarks.proof.crowd import AHEAD_MS, DAYS, HOUR, Crowd
from benchmarks.proof.flows_proved import NAMES, turns
from benchmarks.proof.regulars import DUE_MS, LEAD_MS, Regulars
from flows import FLOWS
from state.instants import parse_instant
from tests.flows import oracle

START = parse_instant("2026-03-02T07:00:00Z")
SECRET = b"a secret that nobody has ........"
MESSAGES = {
    *("welcome", "welcome_picks", "cart_reminder", "cart_reminder_2", "cart_offer", "cart_last_call"),
    *("browse_reminder", "order_thanks", "review_request", "cross_sell", "replenish", "win_back", "win_back_offer"),
    *("back_in_stock", "price_drop"),
}


def told(seed: int) -> list[oracle.Expected]:
    regulars = Regulars(seed, START, "r.")
    load = [each.event for each in islice(Crowd(seed, START, DAYS, "c."), 300)]
    events = [*(each.event for each in (*regulars.history(), *regulars.news())), *load]
    return oracle.expected(events, AHEAD_MS, flows=NAMES, turn=turns(SECRET))


def test_every_flow_that_ships_is_proved() -> None:
    assert [flow.name for flow in FLOWS] == NAMES


def test_every_message_is_decided_and_by_the_regulars_while_the_load_is_on() -> None:
    decided = told(1)
    assert {each.message for each in decided} == MESSAGES
    under_load = {each.message for each in decided if START <= each.at < START + DUE_MS and each.customer[0] == "r"}
    slow = {"review_request", "cross_sell", "replenish", "win_back", "win_back_offer", "welcome_picks"}
    assert under_load >= slow | {"back_in_stock", "price_drop"}


def test_who_saw_a_product_once_or_bought_it_hears_nothing_of_it() -> None:
    waiting = Regulars(1, START).waiting()
    news = {each.customer for each in told(1) if each.flow in oracle.NEWS}
    assert 0 < len(news) < len({each.customer for each in waiting})


def test_the_same_seed_makes_the_same_regulars_in_order_of_time() -> None:
    one, other = (Regulars(7, START).history() for _ in range(2))
    assert one == other
    assert one == sorted(one, key=lambda each: each.at)
    assert one[0].at >= START - LEAD_MS
    assert one[-1].at < START - HOUR
    assert len({each.event["messageId"] for each in one}) == len(one)
