"""What keeps a message from a customer, in which order, and what a transactional one may pass."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from operators.exclusion import rivals_of
from operators.flow import (
    Flow,
    Group,
    Template,
    arm,
    at,
    experiment,
    hours,
    minutes,
    on,
    send,
    split,
    wait,
    wait_for,
    wait_until,
    when,
)
from operators.guards import GUARDS, Ask, Rules, judge
from operators.simulate import START, Told, simulate
from state.customer import Consent, Customer, Sent, Traits
from state.events import (
    ConsentWithdrawn,
    EmailBounced,
    EmailMarkedAsSpam,
    Event,
    Identified,
    OrderCompleted,
    ProductViewed,
    Unsubscribed,
)
from state.ids import Ids
from state.messages import Kind

VIEW = ProductViewed(product_id="p1")
NOON = START
HOUR, DAY = 3_600_000, 86_400_000
A_DAY = timedelta(days=1)
IDS = Ids(b"guards")


def nothing(_: Event, __: Customer) -> Mapping[str, Any]:
    return {}


def template(name: str = "hint", kind: Kind = "marketing", within: timedelta = A_DAY) -> Template[Event]:
    return Template(name, nothing, kind=kind, within=within)


HINT = Flow("hint", enter=on(ProductViewed), steps=[send(template())])
RECEIPT = Flow("receipt", enter=on(ProductViewed), steps=[send(template("receipt", "transactional"))])

ONE_AT_A_TIME = Group("one_at_a_time", pause=hours(2))
RIVAL = Flow("rival", enter=on(ProductViewed), group=ONE_AT_A_TIME, steps=[send(template("rival"))])
GUARDED = Flow("hint", enter=on(ProductViewed), group=ONE_AT_A_TIME, steps=[send(template())])

# One obstacle each, in the order in which they are asked; `until` what a later one would say.
ORDER = [
    ("flow_stopped", "skip"),
    ("no_address", "skip"),
    ("no_consent", "skip"),
    ("suppressed", "skip"),
    ("holdout", "skip"),
    ("cap", "skip"),
    ("arbitration", "skip"),
    ("min_gap", "defer"),
    ("quiet_hours", "defer"),
    ("expired", "skip"),
]


def ask(*obstacles: str, kind: Kind = "marketing") -> Ask:
    """May this be sent, with these obstacles in its way and no others?"""
    customer = Customer(
        id="anna",
        traits=Traits(email="" if "no_address" in obstacles else "anna@example.com"),
        consents={} if "no_consent" in obstacles else {"email/marketing": Consent(True, 0, "proof")},
        suppressed={IDS.address("" if "no_address" in obstacles else "Anna@Example.com"): "bounce"}
        if "suppressed" in obstacles
        else {},
        sent=[Sent(NOON - HOUR, "before", "rival")] if {"cap", "arbitration", "min_gap"} & {*obstacles} else [],
    )
    rules = Rules(
        holdout_percent=100 if "holdout" in obstacles else 0,
        cap=1 if "cap" in obstacles else None,
        cap_period=DAY,
        min_gap=2 * HOUR if "min_gap" in obstacles else 0,
        quiet_from=11 * 60 if "quiet_hours" in obstacles else None,
        quiet_to=13 * 60,
    )
    return Ask(
        rules=rules,
        ids=IDS,
        customer=customer,
        template=template(kind=kind),
        flow="hint",
        priority=0,
        stopped={"hint"} if "flow_stopped" in obstacles else set(),
        at=NOON,
        moment=NOON,
        latest=NOON + DAY + 1 if "expired" in obstacles else NOON + DAY,
        won={},
        limits=rules.limits,
        rivals=rivals_of([RIVAL, GUARDED])["hint"] if "arbitration" in obstacles else None,
    )


def verdict(question: Ask) -> tuple[str, str] | None:
    found = judge(question)
    return None if found is None else (found.reason, found.outcome)


def test_nothing_in_the_way_is_a_message_sent() -> None:
    assert judge(ask()) is None
    assert len(GUARDS) == len(ORDER)


@pytest.mark.parametrize(("reason", "outcome"), ORDER)
def test_each_obstacle_alone_stops_a_marketing_message(reason: str, outcome: str) -> None:
    assert verdict(ask(reason)) == (reason, outcome)


@pytest.mark.parametrize("n", range(len(ORDER)))
def test_of_several_obstacles_the_first_in_the_order_is_the_reason(n: int) -> None:
    names = [reason for reason, _ in ORDER[n:]]
    assert verdict(ask(*names)) == ORDER[n]


def test_a_transactional_message_passes_consent_holdout_caps_gap_and_quiet_hours_and_nothing_else() -> None:
    passed = {reason for reason, _ in ORDER if judge(ask(reason, kind="transactional")) is None}
    assert passed == {"no_consent", "holdout", "cap", "arbitration", "min_gap", "quiet_hours"}


def test_what_is_put_off_says_until_when() -> None:
    gap, quiet = judge(ask("min_gap")), judge(ask("quiet_hours"))
    assert gap is not None
    assert quiet is not None
    assert (gap.until, quiet.until) == (NOON + HOUR, NOON + HOUR)


@pytest.mark.parametrize(
    "word", [ConsentWithdrawn(channel="email", topic="marketing"), ConsentWithdrawn(), Unsubscribed(channel="email")]
)
def test_who_withdraws_hears_no_more(word: Event) -> None:
    assert simulate(HINT).at(hours(0), word).at(hours(1), VIEW).decided() == [
        Told(hours(1), "hint", "skip", "no_consent")
    ]


def test_a_word_about_other_channels_and_topics_changes_nothing() -> None:
    words = simulate(HINT).at(hours(0), ConsentWithdrawn(channel="sms")).at(hours(0), ConsentWithdrawn(topic="news"))
    assert len(words.at(hours(1), VIEW).play_out()) == 1


@pytest.mark.parametrize("trouble", [EmailBounced(kind="hard"), EmailBounced(kind=""), EmailMarkedAsSpam()])
def test_an_address_that_bounced_or_complained_is_spared_until_there_is_another(trouble: Event) -> None:
    spared = simulate(HINT, RECEIPT).at(hours(0), trouble).at(hours(1), VIEW)
    assert [told.reason for told in spared.decided()] == ["suppressed", "suppressed"]
    moved = spared.at(hours(2), Identified(email="new@example.com")).at(hours(3), VIEW)
    assert [told.message for told in moved.play_out()] == ["hint", "receipt"]


def test_a_soft_bounce_spares_nobody() -> None:
    assert len(simulate(HINT).at(hours(0), EmailBounced(kind="Soft")).at(hours(1), VIEW).play_out()) == 1


def test_a_cap_counts_marketing_messages_of_its_period_only() -> None:
    shop = simulate(HINT, RECEIPT).under(Rules(cap=2, cap_period=7 * DAY))
    for day in (0, 1, 2, 6, 7, 8, 9):
        shop = shop.at(timedelta(days=day), VIEW)
    hints = [told for told in shop.decided() if told.message == "hint"]
    assert [told.reason or "sent" for told in hints] == ["sent", "sent", "cap", "cap", "sent", "sent", "cap"]
    assert len([told for told in shop.play_out() if told.message == "receipt"]) == 7


def test_messages_keep_their_distance_and_come_all_the_same() -> None:
    shop = simulate(HINT).under(Rules(min_gap=20 * 60_000))
    for minute in (0, 5, 10):
        shop = shop.at(minutes(minute), VIEW)
    assert [told.after for told in shop.play_out()] == [minutes(0), minutes(20), minutes(40)]
    assert all(b.after - a.after >= minutes(20) for a, b in pairwise(shop.play_out()))


def rivals(first: int, second: int) -> list[Told]:
    """Two flows that want the same customer at the same moment."""
    one, two = (
        Flow(name, enter=on(ProductViewed), priority=priority, steps=[wait("a_while", hours(1)), send(template(name))])
        for name, priority in (("one", first), ("two", second))
    )
    return simulate(one, two).under(Rules(min_gap=HOUR)).at(hours(0), VIEW).decided()


def test_of_two_flows_the_one_with_the_higher_priority_speaks_and_the_other_is_silent() -> None:
    assert rivals(1, 5) == [Told(hours(1), "two"), Told(hours(1), "one", "skip", "arbitration")]
    assert rivals(5, 1) == [Told(hours(1), "one"), Told(hours(1), "two", "skip", "arbitration")]


def test_of_two_flows_alike_one_speaks_first_and_the_other_after_the_gap() -> None:
    told = rivals(1, 1)
    assert [each.outcome for each in told] == ["send", "defer", "send"]
    assert told[2].after == hours(2)
    assert told[0].message != told[2].message


def test_without_a_gap_both_speak() -> None:
    both = simulate(HINT, Flow("loud", enter=on(ProductViewed), priority=9, steps=[send(template("loud"))]))
    assert [told.message for told in both.at(hours(0), VIEW).play_out()] == ["loud", "hint"]


def test_a_message_put_off_beyond_its_use_is_expired() -> None:
    brief = Flow("brief", enter=on(ProductViewed), steps=[send(template("brief", within=hours(2)))])
    night = Rules(quiet_from=11 * 60, quiet_to=14 * 60)  # two hours from the start, at noon
    late = Rules(quiet_from=11 * 60, quiet_to=14 * 60 + 1)
    assert simulate(brief).under(night).at(hours(0), VIEW).decided()[-1] == Told(hours(2), "brief")
    assert simulate(brief).under(late).at(hours(0), VIEW).decided()[-1] == Told(
        minutes(121), "brief", "skip", "expired"
    )


def test_quiet_hours_are_those_of_the_customers_zone() -> None:
    night = Rules(quiet_from=21 * 60, quiet_to=8 * 60, time_zone="UTC")
    tokyo = Identified(time_zone="Asia/Tokyo")  # nine in the evening there is noon here
    assert simulate(HINT).under(night).at(hours(0), VIEW).decided() == [Told(hours(0), "hint")]
    there = simulate(HINT).under(night).at(hours(0), tokyo).at(hours(0), VIEW).decided()
    assert there == [Told(hours(0), "hint", "defer", "quiet_hours"), Told(hours(11), "hint")]


TEST = Flow(
    "test",
    enter=on(ProductViewed),
    steps=[
        experiment("offer", arm("with", 25, send(template("with"))), arm("without", 75, send(template("without")))),
        wait("a_day", hours(24)),
        experiment("offer", arm("with", 25, send(template("again"))), arm("without", 75)),
    ],
)


def test_an_experiment_is_sticky_keeps_its_shares_and_says_what_it_drew() -> None:
    drawn = {}
    for n in range(1_000):
        shop = simulate(TEST).at(hours(0), VIEW)
        first, *again = type(shop)(shop.flows, customer_id=f"c{n}", happened=shop.happened).decisions()
        assert (first.experiment, first.arm, first.message) == ("offer", first.arm, first.arm)
        assert first.propensity == {"with": 0.25, "without": 0.75}[first.arm]
        assert [told.message for told in again] == (["again"] if first.arm == "with" else [])
        drawn[n] = first.arm
    assert 200 < sum(name == "with" for name in drawn.values()) < 300  # 250 ± 3.6 standard deviations


def bought(_: Event, customer: Customer) -> bool:
    return customer.orders > 0


CARE = Flow(
    "care",
    enter=on(ProductViewed),
    steps=[
        wait_for("order", on(OrderCompleted), within=hours(3), or_else=[send(template("nudge"))]),
        split(when(bought, send(template("thanks"))), otherwise=[send(template("bye"))]),
    ],
)


def test_a_wait_for_an_event_ends_with_it_or_at_its_limit() -> None:
    came = simulate(CARE).at(hours(0), VIEW).at(hours(2), OrderCompleted(order_id="o"))
    assert came.play_out() == [Told(hours(2), "thanks")]
    assert simulate(CARE).at(hours(0), VIEW).play_out() == [Told(hours(3), "nudge"), Told(hours(3), "bye")]
    at_the_limit = simulate(CARE).at(hours(0), VIEW).at(hours(3), OrderCompleted(order_id="o"))
    assert at_the_limit.play_out() == [Told(hours(3), "thanks")]


def test_a_wait_until_the_morning_is_by_her_own_clock() -> None:
    morning = Flow("morning", enter=on(ProductViewed), steps=[wait_until("morning", at(9)), send(template())])
    warsaw, tokyo = Identified(time_zone="Europe/Warsaw"), Identified(time_zone="Asia/Tokyo")
    assert simulate(morning).at(hours(0), warsaw).at(hours(0), VIEW).play_out() == [Told(hours(20), "hint")]
    assert simulate(morning).at(hours(0), tokyo).at(hours(0), VIEW).play_out() == [Told(hours(12), "hint")]
