"""A proof that could not fail would prove nothing: each broken promise is seen."""

from __future__ import annotations

import msgspec

from benchmarks.proof.mail_server import Mail
from benchmarks.proof.verdict import Verdict, judge_decisions, judge_mails, withdrawn
from state.decisions import Decision, Reason, to_json
from state.instants import format_instant
from state.messages import Delivery, Result
from tests.flows.oracle import Expected

AT = 1_772_435_600_000
SAID = [Expected("c1", "welcome", "welcome", AT, "send", "")]
MADE = Decision(
    decision_id="m1-0",
    message_id="m1",
    at=format_instant(AT),
    customer="c1",
    flow="welcome",
    flow_version="v",
    passage="p",
    step="s",
    message="welcome",
    channel="email",
    kind="marketing",
    outcome="send",
)


def broken(topic: list[Decision], store: list[Decision], said: list[Expected] = SAID) -> list[str]:
    verdict = Verdict()
    judge_decisions(verdict, map(to_json, topic), map(to_json, store), said)
    return [fact.partition(":")[0] for fact in verdict.broken]


def broken_of_mails(mails: list[Mail], store: list[Decision], kills: list[float]) -> list[str]:
    verdict = Verdict()
    judge_mails(verdict, mails, map(to_json, store), kills, 32)
    return [fact.partition(":")[0] for fact in verdict.broken]


def later(ordinal: int, outcome: str, reason: Reason = "") -> Decision:
    raw = {**msgspec.to_builtins(MADE), "decision_id": f"m1-{ordinal}", "outcome": outcome, "reason": reason}
    return msgspec.convert(raw, Decision)


def test_a_decision_may_stand_twice_in_the_topic() -> None:
    assert broken([MADE, MADE], [MADE]) == []


def test_a_decision_that_changed_is_seen() -> None:
    changed = msgspec.structs.replace(MADE, flow_version="w")
    assert broken([MADE, changed], [MADE]) == [
        "a decision never changes",
        "store and topic tell the same of a decision",
    ]


def test_a_decision_that_is_lost_is_seen() -> None:
    assert broken([], []) == ["no decision is lost"]
    assert broken([], [MADE]) == ["every decision of the store is in the topic"]
    assert broken([MADE], []) == ["every decision of the topic is in the store", "no decision is lost"]


def test_a_decision_that_nobody_expected_is_seen() -> None:
    assert broken([MADE], [MADE], said=[]) == ["no decision is invented"]


def test_what_is_decided_twice_is_seen() -> None:
    again = msgspec.structs.replace(MADE, decision_id="m2-0", message_id="m2")
    assert broken([MADE, again], [MADE, again]) == ["nothing is decided twice"]


def test_a_retry_is_no_second_decision() -> None:
    every = [MADE, later(1, "defer", "retry"), later(2, "send")]
    assert broken(every, every) == []


def test_only_a_shard_put_back_may_tell_a_retry_anew() -> None:
    first, then = later(1, "defer", "retry"), msgspec.structs.replace(later(1, "defer", "retry"), until="later")
    for rewound, facts in (("c1", 0), ("c2", 2)):
        verdict = Verdict()
        topic = map(to_json, [MADE, first, then])
        judge_decisions(verdict, topic, map(to_json, [MADE, then]), SAID, rewound.__eq__)
        assert len(verdict.broken) == facts


def test_a_mail_put_off_is_not_missed_when_its_customer_moved_on() -> None:
    cart = msgspec.structs.replace(MADE, flow="abandoned_cart")
    put_off = Delivery(message_id="m1", at=MADE.at, attempt=1, provider="smtp", result="deferred", detail="busy")
    bought = {"event": "Order Completed", "userId": "c1", "timestamp": format_instant(AT + 1)}
    told, store = [msgspec.json.encode(put_off)], [to_json(cart)]
    assert withdrawn(told, store, [bought]) == {"m1"}
    assert withdrawn([], store, [bought]) == set()
    assert withdrawn(told, store, [{**bought, "timestamp": format_instant(AT - 1)}]) == set()


def test_a_mail_that_is_lost_or_invented_is_seen() -> None:
    assert broken_of_mails([], [MADE], []) == ["no mail is lost"]
    assert broken_of_mails([Mail(1, "m1"), Mail(1, "m2")], [MADE], []) == ["no mail is invented"]


def test_a_message_that_expired_need_not_come() -> None:
    assert broken_of_mails([], [MADE, later(1, "defer", "retry"), later(2, "skip", "expired")], []) == []


def test_a_mail_may_come_twice_only_about_a_kill_of_its_courier() -> None:
    twice = [Mail(100, "m1"), Mail(104, "m1")]
    assert broken_of_mails(twice, [MADE], kills=[100.5]) == []
    unexplained = ["a mail comes twice only when its courier was killed while it was in flight"]
    assert broken_of_mails(twice, [MADE], kills=[90.0]) == unexplained
    assert broken_of_mails(twice, [MADE], kills=[105.0]) == unexplained


def test_a_mail_may_come_twice_where_its_courier_did_not_know_that_it_was_taken() -> None:
    seconds = AT / 1000
    twice = [Mail(seconds - 3, "m1"), Mail(seconds + 15, "m1")]
    results: tuple[tuple[Result, bool], ...] = (("unknown", True), ("accepted", False))
    for result, is_explained in results:
        told = Delivery(message_id="m1", at=MADE.at, attempt=1, provider="smtp", result=result, detail="timeout")
        verdict = Verdict()
        judge_mails(verdict, twice, [to_json(MADE)], [], 32, deliveries=[msgspec.json.encode(told)])
        assert (verdict.broken == []) is is_explained
        assert verdict.mails_twice == 1


def test_a_kill_explains_no_more_mails_than_a_courier_may_have_in_flight() -> None:
    made = [msgspec.structs.replace(MADE, decision_id=f"m{n}-0", message_id=f"m{n}") for n in range(40)]
    twice = [Mail(at, f"m{n}") for at in (100.0, 104.0) for n in range(40)]
    [fact] = broken_of_mails(twice, made, kills=[100.5])
    assert fact.startswith("a killed courier repeats at most")
