"""Who may write to a customer when several want to: caps on a part of the messages, and flows that take turns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.flow import Flow, FlowError, Group, Template, at_most, days, hours, minutes, on, send, wait
from operators.guards import Rules
from operators.limits import SENT_MAX, Limit, Of, remembered
from operators.program import Program
from operators.simulate import Told, simulate
from state.customer import Customer, Sent
from state.events import CartViewed, Event, OrderCompleted, ProductViewed
from state.ids import Ids
from state.messages import Channel, Delivery, Kind
from tests.operators.shards import DAY, HOUR, START, Desk, agrees, desk, identify, track

VIEW, CART, ORDER = ProductViewed(product_id="p1"), CartViewed(), OrderCompleted(order_id="o1")


def nothing(_: Event, __: Customer) -> Mapping[str, Any]:
    return {}


def message(
    name: str, channel: Channel = "email", topic: str = "marketing", kind: Kind = "marketing"
) -> Template[Event]:
    return Template(name, nothing, channel=channel, topic=topic, kind=kind)


MAIL = Flow("mail", enter=on(ProductViewed), steps=[send(message("mail"))])
TEXT = Flow("text", enter=on(ProductViewed), steps=[send(message("text", "sms"))])
NEWS = Flow("news", enter=on(ProductViewed), steps=[send(message("news", topic="news"))])
RECEIPT = Flow("receipt", enter=on(ProductViewed), steps=[send(message("receipt", kind="transactional"))])


def capped(*limits: Limit) -> Rules:
    return Rules(caps=limits)


def over_days(rules: Rules, *flows: Flow[Any], viewed: tuple[int, ...] = (0, 1, 2)) -> dict[str, list[str]]:
    """What became of each message, of a customer who agreed to all, who looks at something on these days."""
    shop = replace(simulate(*flows).under(rules), topics=("marketing", "news"))
    for day in viewed:
        shop = shop.at(days(day), VIEW)
    told: dict[str, list[str]] = {}
    for each in shop.decided():
        told.setdefault(each.message, []).append(each.reason or "sent")
    return told


ALL = (MAIL, TEXT, NEWS, RECEIPT)
SENT_ALWAYS = ["sent", "sent", "sent"]


@pytest.mark.parametrize(
    ("of", "name", "capped_ones"),
    [("channel", "sms", {"text"}), ("topic", "news", {"news"}), ("flow", "mail", {"mail"})],
)
def test_a_cap_on_a_part_of_the_messages_leaves_the_others_alone(of: Of, name: str, capped_ones: set[str]) -> None:
    told = over_days(capped(Limit(1, 2 * DAY, of, name)), *ALL)
    for flow in ALL:
        assert told[flow.name] == (["sent", "cap", "sent"] if flow.name in capped_ones else SENT_ALWAYS)


def test_a_message_must_be_within_every_cap_that_it_falls_under() -> None:
    rules = capped(Limit(1, DAY, "channel", "email"), Limit(2, 30 * DAY, "channel", "email"))
    assert over_days(rules, MAIL, viewed=(0, 1, 2, 31))["mail"] == ["sent", "sent", "cap", "sent"]
    both = Rules(cap=2, cap_period=30 * DAY, caps=(Limit(5, 30 * DAY, "flow", "mail"),))
    assert over_days(both, MAIL)["mail"] == ["sent", "sent", "cap"]


def test_a_flow_states_a_cap_of_its_own() -> None:
    rare = replace(MAIL, cap=at_most(1, per=days(2)))
    assert over_days(Rules(), rare, TEXT) == {"mail": ["sent", "cap", "sent"], "text": SENT_ALWAYS}
    stricter = over_days(capped(Limit(1, 30 * DAY, "flow", "mail")), rare)
    assert stricter["mail"] == ["sent", "cap", "cap"]


def test_a_cap_that_lets_nothing_through_is_refused() -> None:
    with pytest.raises(FlowError, match="lets nothing through"):
        at_most(0, per=days(1))


def test_a_flow_that_states_neither_cap_nor_group_is_the_version_that_it_was() -> None:
    assert Program([MAIL]).versions != Program([replace(MAIL, cap=at_most(1, per=days(1)))]).versions
    assert "cap" not in Program([MAIL]).versions["mail"]


def test_a_message_refused_by_its_provider_gives_every_cap_back(tmp_path: Path) -> None:
    rare = replace(MAIL, cap=at_most(1, per=days(2)))
    with desk(tmp_path, rare, wall=START + DAY, rules=capped(Limit(1, 2 * DAY, "channel", "email"))) as shop:
        shop.events(identify("anna"), agrees("anna"), track("anna", START, "Product Viewed", product_id="p1"))
        [sent] = shop.decided("anna")
        refused = Delivery(
            message_id=sent.message_id, at="2026-01-05T12:00:01.000Z", attempt=1, provider="smtp", result="refused"
        )
        shop.events(track("anna", START + 1, "Product Viewed", product_id="p2"))
        shop.delivery("anna", refused)
        shop.events(track("anna", START + 2, "Product Viewed", product_id="p3"))
        assert [each.reason or each.outcome for each in shop.decided("anna")] == ["send", "cap", "send"]


def test_a_cap_over_a_year_outlives_the_worker_and_all_that_was_sent_meanwhile(tmp_path: Path) -> None:
    yearly = Flow("text", on(CartViewed), [send(message("text", "sms"))], cap=at_most(1, per=days(365)))

    def see(shop: Desk, *events: dict[str, Any], day: int) -> None:
        shop.wall.ms = START + day * DAY
        shop.events(*events)

    with desk(tmp_path, yearly, MAIL) as shop:
        consent = track("anna", START - 1, "Consent Granted", channel="sms", topic="marketing")
        known = {**identify("anna"), "traits": {"email": "anna@example.com", "phone": "+48600100200"}}
        see(shop, known, agrees("anna"), consent, track("anna", START, "Cart Viewed"), day=0)
        for day in range(1, 201):
            see(shop, track("anna", START + day * DAY, "Product Viewed", product_id="p1"), day=day)
        kept = shop.shard.residents.entry(Ids(b"secret").customer(b"anna")).customer.sent
        assert len(kept) == 1 + 30, "the text, and a month of mails"
    with desk(tmp_path, yearly, MAIL) as shop:
        for day in (300, 366):
            see(shop, track("anna", START + day * DAY, "Cart Viewed"), day=day)
        texts = [each.reason or each.outcome for each in shop.decided("anna") if each.message == "text"]
        assert texts == ["send", "cap", "send"]


LIMITS = st.builds(
    Limit,
    st.integers(1, 4),
    st.integers(1, 60).map(lambda n: n * DAY),
    st.sampled_from(["flow", ""]),
    st.sampled_from(["a", "b"]),
)


@given(st.lists(LIMITS, max_size=4), st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5)), max_size=250))
def test_what_is_forgotten_of_messages_sent_would_have_changed_no_verdict(
    limits: list[Limit], wishes: list[tuple[str, int]]
) -> None:
    whole: list[Sent] = []
    kept: list[Sent] = []
    at = 0
    for flow, after in wishes:
        at += after * DAY // 3
        sent = Sent(at, f"m{len(whole)}", flow)
        mine = [limit for limit in limits if limit.covers(sent)]
        by_all = [limit.counted(whole, at) >= limit.count for limit in mine]
        assert [limit.counted(kept, at) >= limit.count for limit in mine] == by_all
        if not any(by_all):
            whole.append(sent)
            kept = remembered([*kept, sent], limits, at)
    assert len(kept) <= SENT_MAX + sum(limit.count for limit in limits)


# -- flows that take turns

TURNS = Group("turns")


def steps(name: str) -> list[Any]:
    return [
        wait(f"{name}_first", hours(1)),
        send(message(f"{name}_1")),
        wait(f"{name}_more", hours(2)),
        send(message(f"{name}_2")),
    ]


def taking_turns(name: str, event: type[Event] = ProductViewed, priority: int = 0, group: Group = TURNS) -> Flow[Any]:
    return Flow(name, enter=on(event), priority=priority, group=group, steps=steps(name), leave=[on(OrderCompleted)])


def fates(decided: list[Told]) -> dict[str, str]:
    return {each.message: each.reason or "sent" for each in decided}


def test_while_she_is_inside_one_flow_of_a_group_the_others_are_silent() -> None:
    cart, browse = taking_turns("cart", CartViewed, priority=5), taking_turns("browse")
    told = simulate(cart, browse).at(minutes(0), VIEW).at(minutes(30), CART).decided()
    assert fates(told) == {"browse_1": "arbitration", "cart_1": "sent", "browse_2": "arbitration", "cart_2": "sent"}


def test_of_flows_alike_the_one_she_entered_earlier_goes_on() -> None:
    one, two = taking_turns("one"), taking_turns("two", CartViewed)
    for first, second, winner in ((VIEW, CART, "one"), (CART, VIEW, "two")):
        told = fates(simulate(one, two).at(minutes(0), first).at(minutes(30), second).decided())
        loser = "two" if winner == "one" else "one"
        # The first flow is through three hours after she entered, half an hour before the other's last message.
        assert told == {f"{winner}_1": "sent", f"{winner}_2": "sent", f"{loser}_1": "arbitration", f"{loser}_2": "sent"}


def test_of_flows_alike_in_all_the_one_that_stands_first_in_flows_speaks() -> None:
    one, two = taking_turns("one"), taking_turns("two")
    for flows in ((one, two), (two, one)):
        told = fates(simulate(*flows).at(minutes(0), VIEW).decided())
        assert {name: fate for name, fate in told.items() if fate == "sent"} == dict.fromkeys(
            [f"{flows[0].name}_1", f"{flows[0].name}_2"], "sent"
        )


def test_a_flow_speaks_as_soon_as_she_has_left_the_one_before_it() -> None:
    cart, browse = taking_turns("cart", CartViewed, priority=5), taking_turns("browse")
    browse = replace(browse, leave=())
    told = simulate(cart, browse).at(minutes(0), VIEW).at(minutes(1), CART).at(hours(2), ORDER).decided()
    assert fates(told) == {"browse_1": "arbitration", "cart_1": "sent", "browse_2": "sent"}


def test_after_a_message_the_others_pause() -> None:
    group = Group("turns", pause=hours(3))
    once = replace(taking_turns("once", CartViewed, group=group), steps=[send(message("once"))])
    for after, fate in ((179, "arbitration"), (180, "arbitration"), (181, "sent")):
        later = replace(
            taking_turns("later", group=group), steps=[wait("a_while", minutes(after)), send(message("later"))]
        )
        told = simulate(once, later).at(minutes(0), CART).at(minutes(0), VIEW).decided()
        assert fates(told) == {"once": "sent", "later": fate}


def test_a_flow_of_higher_priority_does_not_pause_for_those_below() -> None:
    group = Group("turns", pause=hours(3))
    once = replace(taking_turns("once", CartViewed, group=group), steps=[send(message("once"))])
    urgent = replace(taking_turns("urgent", priority=1, group=group), steps=[send(message("urgent"))])
    assert len(simulate(once, urgent).at(minutes(0), CART).at(minutes(1), VIEW).play_out()) == 2


def test_a_group_that_only_pauses_does_not_mind_who_is_inside() -> None:
    group = Group("turns", pause=minutes(30), while_inside=False)
    one, two = taking_turns("one", group=group), taking_turns("two", CartViewed, group=group)
    told = fates(simulate(one, two).at(minutes(0), VIEW).at(minutes(40), CART).decided())
    assert set(told.values()) == {"sent"}
    told = fates(simulate(one, two).at(minutes(0), VIEW).at(minutes(20), CART).decided())
    assert told == {"one_1": "sent", "two_1": "arbitration", "one_2": "sent", "two_2": "arbitration"}


def test_a_message_put_off_for_the_night_still_holds_her_for_its_flow() -> None:
    night = Rules(quiet_from=11 * 60, quiet_to=16 * 60)  # it is noon
    put_off = replace(taking_turns("put_off", CartViewed, priority=1), steps=[send(message("put_off"))], leave=())
    other = replace(taking_turns("other"), steps=[send(message("other", kind="marketing"))])
    told = simulate(put_off, other).under(night).at(minutes(0), CART).at(minutes(1), VIEW).decided()
    assert [(each.message, each.reason or "sent") for each in told] == [
        ("put_off", "quiet_hours"),
        ("other", "arbitration"),
        ("put_off", "sent"),
    ]


def test_two_passages_of_one_flow_do_not_silence_each_other_and_transactional_messages_pass() -> None:
    receipt = replace(RECEIPT, group=TURNS)
    cart = taking_turns("cart", priority=5)
    told = simulate(cart, receipt).at(minutes(0), VIEW).at(minutes(90), VIEW).decided()
    assert [each for each in told if each.reason] == []


def test_a_flow_that_an_operator_stopped_holds_nobody(tmp_path: Path) -> None:
    cart, browse = taking_turns("cart", CartViewed, priority=5), taking_turns("browse")
    with desk(tmp_path, cart, browse, wall=START + DAY) as shop:
        shop.breaker.ask({"cart"})
        shop.events(identify("anna"), agrees("anna"), track("anna", START, "Cart Viewed"))
        shop.events(track("anna", START + 1, "Product Viewed", product_id="p1"))
        shop.clock_at(START + 2 * HOUR)
        told = {each.message: each.reason or "sent" for each in shop.decided("anna")}
        assert told == {"cart_1": "flow_stopped", "browse_1": "sent"}


def test_a_message_that_ended_unsent_no_longer_makes_others_pause(tmp_path: Path) -> None:
    group = Group("turns", pause=days(1))
    one = replace(taking_turns("one", CartViewed, group=group), steps=[send(message("one"))])
    two = replace(taking_turns("two", group=group), steps=[send(message("two"))])
    with desk(tmp_path, one, two, wall=START + DAY) as shop:
        shop.events(identify("anna"), agrees("anna"), track("anna", START, "Cart Viewed"))
        [sent] = shop.decided("anna")
        shop.events(track("anna", START + 1, "Product Viewed", product_id="p1"))
        shop.delivery(
            "anna",
            Delivery(
                message_id=sent.message_id, at="2026-01-05T12:00:01.000Z", attempt=1, provider="smtp", result="refused"
            ),
        )
        shop.events(track("anna", START + 2, "Product Viewed", product_id="p2"))
        assert [each.reason or each.outcome for each in shop.decided("anna")] == ["send", "arbitration", "send"]


def test_two_groups_of_one_name_are_refused() -> None:
    with pytest.raises(FlowError, match="already is another group"):
        Program([taking_turns("one"), taking_turns("two", group=Group("turns", pause=timedelta(1)))])


def test_the_timeline_names_every_cap_with_its_count_and_the_flow_that_goes_before() -> None:
    cart, browse = taking_turns("cart", CartViewed, priority=5), taking_turns("browse")
    rules = Rules(cap=4, cap_period=7 * DAY, caps=(Limit(2, DAY, "channel", "email"), Limit(1, DAY, "flow", "other")))
    told = simulate(cart, browse).under(rules).at(minutes(0), CART).at(minutes(30), VIEW).timeline()
    said = [each.detail for each in told if each.what == "guard" and each.message == "browse_1"]
    assert "1 sent in the last 7 days, at most 4; channel email: 1 sent in the last 1 day, at most 2" in said
    assert "group turns: cart (priority 5) goes before priority 0: she is inside since 2026-01-05 12:00Z" in said
