"""A message that cannot reach her one way goes another, and the decisions say which and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from operators.draw import mermaid, told
from operators.explain import explain
from operators.flow import Flow, FlowError, Template, hours, on, send, wait
from operators.guards import Rules
from operators.memory import Memory, Recalled, Taken
from operators.program import Program, printed
from operators.simulate import Simulation, Told, decoded, simulate
from state.customer import Customer, Traits
from state.events import ConsentWithdrawn, OrderCompleted, ProductViewed
from state.ids import Ids
from state.instants import format_instant
from state.messages import Delivery
from state.records import TopicPartition
from tests.operators.shards import HOUR, START, Desk, desk, identify, message, track

NOW = hours(0)
VIEW = ProductViewed(product_id="p1")
broken: list[bool] = []


def viewed(event: ProductViewed, _: Customer) -> Mapping[str, Any]:
    if broken:
        raise RuntimeError
    return {"product": event.product_id}


def seen(event: ProductViewed, _: Customer) -> Mapping[str, Any]:
    return {"product": event.product_id}


text = Template("text", seen, channel="sms")
mail = Template("mail", viewed)
text_or_mail = Flow("views", enter=on(ProductViewed), steps=[send(text, otherwise=mail)])
BOTH = Traits(email="anna@example.com", phone="+48600100200")


def anna(traits: Traits = BOTH) -> Simulation:
    return simulate(text_or_mail).who_is(traits).at(NOW, VIEW)


def test_who_can_be_reached_gets_the_first_message_alone() -> None:
    assert anna().decided() == [Told(NOW, "text")]


@pytest.mark.parametrize("phone", ["", "600 100 200", "call me"])
def test_without_a_number_in_the_worlds_own_form_the_mail_goes_instead(phone: str) -> None:
    without = anna(Traits(email="anna@example.com", phone=phone))
    assert without.decided() == [Told(NOW, "text", "replace", "no_address"), Told(NOW, "mail")]


def test_without_consent_to_one_channel_the_other_is_used() -> None:
    decided = anna().who_agreed_to("email/marketing").decisions()
    assert [(row.message, row.outcome, row.reason) for row in decided] == [
        ("text", "replace", "no_consent"),
        ("mail", "send", ""),
    ]
    assert (decided[0].replaced_by, decided[1].instead_of) == ("mail", decided[0].message_id)
    assert (decided[0].instead_of, decided[1].replaced_by) == ("", "")
    assert len({row.message_id for row in decided}) == 2


def test_where_nothing_reaches_her_the_last_message_says_why() -> None:
    assert anna(Traits()).decided() == [
        Told(NOW, "text", "replace", "no_address"),
        Told(NOW, "mail", "skip", "no_address"),
    ]


def test_what_protects_her_from_too_much_is_no_reason_to_try_another_way() -> None:
    assert anna().under(Rules(holdout_percent=100)).decided() == [Told(NOW, "text", "skip", "holdout")]
    [quiet, sent] = anna().under(Rules(quiet_from=11 * 60, quiet_to=13 * 60)).decided()
    assert (quiet.message, quiet.outcome) == ("text", "defer")
    assert sent.message == "text"


def test_who_changes_her_mind_in_the_quiet_hours_gets_what_she_agreed_to() -> None:
    withdrawn = ConsentWithdrawn(channel="sms", topic="marketing")
    night = Rules(quiet_from=11 * 60, quiet_to=14 * 60)
    decided = anna().at(hours(1), withdrawn).under(night).decided()
    assert [(each.message, each.outcome, each.reason) for each in decided] == [
        ("text", "defer", "quiet_hours"),
        ("text", "replace", "no_consent"),
        ("mail", "send", ""),
    ]


def test_three_ways_are_tried_in_order() -> None:
    push = Template("push", seen, channel="push")
    flow = Flow("views", enter=on(ProductViewed), steps=[send(push, otherwise=[text, mail])])
    decided = simulate(flow).who_is(Traits(email="anna@example.com")).at(NOW, VIEW).decided()
    assert [(each.message, each.outcome) for each in decided] == [
        ("push", "replace"),
        ("text", "replace"),
        ("mail", "send"),
    ]


def test_a_message_cannot_go_in_place_of_itself() -> None:
    with pytest.raises(FlowError, match="in place of itself"):
        send(mail, otherwise=[text, mail])
    with pytest.raises(FlowError, match="named twice"):
        send(mail, otherwise=[text, text])


def test_a_flow_says_what_goes_in_whose_place() -> None:
    assert "  send text (sms, marketing, within 1 d)\n    otherwise mail (email, marketing, within 1 d)" in told(
        text_or_mail
    )
    assert 'sms: text, else email: mail"' in mermaid(text_or_mail)


def test_flows_that_have_no_other_way_keep_their_version() -> None:
    assert "otherwise" not in printed(send(mail))
    both = (send(text, otherwise=mail), send(text))
    first, second = (Program([Flow("f", enter=on(ProductViewed), steps=[step])]).versions["f"] for step in both)
    assert first != second


# -- what a provider refuses


def visit(shop: Desk, at: int = START) -> None:
    shop.events(*a_visit(at))


def a_visit(at: int = START) -> list[dict[str, Any]]:
    who = identify("anna")
    who["traits"]["phone"] = "+48600100200"
    yes = [track("anna", START + n, "Consent Granted", channel=each, topic="marketing") for n, each in ENTRIES]
    return [who, *yes, track("anna", at + 10, "Product Viewed", product_id="p1")]


ENTRIES = list(enumerate(("sms", "email")))


def answers(shop: Desk, result: Any, **more: Any) -> None:
    """A courier tells what came of the last message."""
    last = message(shop.outbox("messages")[-1])
    told_at = format_instant(shop.wall.ms)
    shop.delivery(
        "anna",
        Delivery(
            message_id=last.message_id, at=told_at, attempt=last.attempt, provider="twilio", result=result, **more
        ),
    )
    shop.clock_at(shop.wall.ms)


def decided(shop: Desk) -> list[tuple[str, str, str]]:
    rows = sorted(shop.decided("anna"), key=lambda row: (row.at, row.outcome == "send", row.message == "mail"))
    return [(row.message, row.outcome, row.reason) for row in rows]


REFUSED = [("text", "replace", "refused"), ("text", "send", ""), ("mail", "send", "")]


def test_what_a_provider_refuses_for_good_goes_another_way(tmp_path: Path) -> None:
    with desk(tmp_path, text_or_mail, wall=START + HOUR) as shop:
        visit(shop)
        shop.clock_at(START + HOUR)
        answers(shop, "refused", detail="400 21614", permanent_address=True)
        assert decided(shop) == REFUSED
        last = message(shop.outbox("messages")[-1])
        assert (last.template, last.channel, last.attempt) == ("mail", "email", 1)
        answers(shop, "accepted")
        shop.wall.ms += HOUR
        visit(shop, START + 2 * HOUR)
        assert decided(shop)[-2:] == [("text", "replace", "suppressed"), ("mail", "send", "")]


def test_a_refusal_told_twice_changes_nothing(tmp_path: Path) -> None:
    with desk(tmp_path, text_or_mail, wall=START + HOUR) as shop:
        visit(shop)
        first = message(shop.outbox("messages")[-1])
        refusal = Delivery(
            message_id=first.message_id, at=format_instant(shop.wall.ms), attempt=1, provider="json", result="refused"
        )
        shop.clock_at(START + HOUR)
        shop.delivery("anna", refusal)
        shop.delivery("anna", refusal)
        shop.clock_at(START + HOUR)
        shop.delivery("anna", refusal)
        shop.clock_at(START + HOUR)
        assert decided(shop) == REFUSED


@pytest.mark.parametrize(("result", "detail"), [("deferred", "circuit_open"), ("unknown", "timeout")])
def test_what_may_still_arrive_is_not_replaced(tmp_path: Path, result: str, detail: str) -> None:
    with desk(tmp_path, text_or_mail, wall=START + HOUR) as shop:
        visit(shop)
        shop.clock_at(START + HOUR)
        answers(shop, result, detail=detail)
        assert {row.message for row in shop.decided("anna")} == {"text"}


def test_who_has_left_the_flow_gets_nothing_in_its_place(tmp_path: Path) -> None:
    leaves = Flow(
        "views",
        enter=on(ProductViewed),
        leave=[on(OrderCompleted)],
        steps=[send(text, otherwise=mail), wait("a_while", hours(1)), send(Template("later", seen))],
    )
    with desk(tmp_path, leaves, wall=START + HOUR) as shop:
        visit(shop)
        shop.clock_at(START + 1000)
        shop.events(track("anna", START + 2000, "Order Completed", order_id="o1"))
        answers(shop, "refused")
        assert decided(shop) == [("text", "send", "")]


def test_a_shard_put_back_goes_the_same_way_by_the_results_of_then(tmp_path: Path) -> None:
    with desk(tmp_path / "then", text_or_mail, wall=START + HOUR) as shop:
        visit(shop)
        shop.clock_at(START + HOUR)
        answers(shop, "refused")
        answers(shop, "accepted")
        told_then = [message(row) for row in shop.outbox("messages")]
        rows = shop.decided("anna")
    with desk(tmp_path / "put back", text_or_mail, wall=START + 2 * HOUR) as shop:
        for number, (each, result) in enumerate(zip(told_then, ("refused", "accepted"), strict=True)):
            at = format_instant(START + HOUR + number)
            found: Any = result
            shop.delivery("anna", Delivery(message_id=each.message_id, at=at, attempt=1, provider="json", result=found))
        visit(shop)
        shop.clock_at(START + 2 * HOUR)
        assert shop.outbox("messages") == []
        assert {(row.decision_id, row.outcome, row.reason) for row in shop.decided("anna")} == {
            (row.decision_id, row.outcome, row.reason) for row in rows
        }


def test_code_that_fails_for_the_other_message_is_set_aside_and_given_back(tmp_path: Path) -> None:
    with desk(tmp_path, text_or_mail, wall=START + HOUR) as shop:
        visit(shop)
        shop.clock_at(START + HOUR)
        broken.append(True)
        answers(shop, "refused")
        broken.clear()
        assert decided(shop) == [("text", "replace", "refused"), ("text", "send", "")]
        [letter] = shop.outbox("dead-letters")
        shop.records([(b"anna", letter.value)], "internal")
        shop.clock_at(START + 2 * HOUR)
        assert decided(shop) == REFUSED


def test_explain_tells_the_whole_way_as_the_store_holds_it(tmp_path: Path) -> None:
    with desk(tmp_path, text_or_mail, wall=START + HOUR) as shop:
        visit(shop)
        shop.clock_at(START + HOUR)
        answers(shop, "refused", detail="400 21614", permanent_address=True)
        answers(shop, "accepted")
        rows = {row.decision_id: Recalled(row, None) for row in shop.decided("anna")}
        messages = [message(row) for row in shop.outbox("messages")]
    wall, program = START + HOUR, Program([text_or_mail])
    inputs = [Taken(wall, "clickstream", 0, n, decoded(each, wall)) for n, each in enumerate(a_visit())]
    results: tuple[Any, Any] = ("refused", "accepted")
    for number, (sent, result) in enumerate(zip(messages, results, strict=True)):
        gone = result == "refused"
        told_of = Delivery(
            message_id=sent.message_id,
            at=format_instant(wall),
            attempt=1,
            provider="twilio",
            result=result,
            permanent_address=gone,
        )
        inputs.append(Taken(wall, "deliveries", 0, number, told_of))
    marks = {TopicPartition("clickstream", 0): 100, TopicPartition("deliveries", 0): 100}
    memory = Memory(customer="anna", inputs=inputs, decisions=rows, watermarks=marks)
    entries = explain(
        program,
        Rules(),
        Ids(b"secret"),
        memory,
        clock="live",
        until=wall + 1000,
        clock_now=wall + 1000,
        wall_now=wall + 1000,
    )
    made = [(each.message, each.outcome, each.reason, each.stored) for each in entries if each.what == "decision"]
    assert made == [
        ("text", "send", "", "same"),
        ("text", "replace", "refused", "same"),
        ("mail", "send", "", "same"),
    ]
    assert "mail in its place" in [each.detail for each in entries if each.outcome == "replace"]
    assert not [each for each in entries if each.what == "difference"]
