"""What must have come of it, and whether it did: decisions against the oracle, mails against decisions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import msgspec

from benchmarks.proof.mail_server import NOT_SAID, Mail
from state import decisions
from state.decisions import Decision
from state.instants import parse_instant
from state.messages import Delivery
from tests.flows import oracle

Kind = Literal["lost", "wrong", "doubled", "unexplained"]

MOVES_ON = {
    "abandoned_cart": ("Product Added", "Product Removed", "Order Completed"),
    "browse_abandonment": ("Product Viewed",),
    "post_purchase": ("Order Cancelled", "Order Refunded"),
    "replenishment": ("Order Completed",),
    "win_back": ("Order Completed",),
}
"""What ends or begins anew a passage through a flow, and with it a message that waits for another try."""

SHOWN_MAX = 5
IN_FLIGHT_SECONDS = 5.0  # from a mail's acceptance until its result is in the log, at the very most
SERVER_SECONDS = 2.0  # a mail that is all there is accepted though its courier has just died
PATIENCE_SECONDS = 30.0  # from a mail's acceptance until a courier that got no answer says so, at the very most


@dataclass
class Verdict:
    """Counts, and every promise that broke, told with a few of the cases."""

    decisions: int = 0
    expected: int = 0
    repeated_in_topic: int = 0
    mails: int = 0
    mails_twice: int = 0
    withdrawn: int = 0
    retries_told_anew: int = 0
    counts: Counter[Kind] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def hold(self, promise: str, against: Iterable[object], kind: Kind = "wrong") -> None:
        """The promise holds when there is nothing against it."""
        found = list(against)
        if found:
            self.counts[kind] += len(found)
            some = "; ".join(str(each) for each in sorted(found, key=str)[:SHOWN_MAX])
            self.broken.append(f"{promise}: {len(found)} times not, as in {some}")

    def hold_growth(self, grown: Mapping[str, float], most: float) -> None:
        """No process has grown by more; in MiB, by its name."""
        too_much = (f"{name} by {mib:.0f} MiB" for name, mib in grown.items() if mib > most)
        self.hold(f"memory grows by no more than {most:.0f} MiB", too_much)


def judge_decisions(
    verdict: Verdict,
    topic: Iterable[bytes],
    store: Iterable[bytes],
    oracle_says: Collection[oracle.Expected],
    rewound: Callable[[str], bool] = lambda customer: False,
) -> None:
    """Topic and store tell the same, each decision has one content, and each message's first is the oracle's.

    `rewound`: whether a customer's shard was put back.  What a courier answered is then read with all that came after
    it, and a retry, which is due by the wall clock, is told anew or not at all.
    """
    faces: dict[str, set[bytes]] = defaultdict(set)
    rows = 0
    for raw in topic:
        faces[decisions.from_json(raw).decision_id].add(raw)
        rows += 1
    stored = {decisions.from_json(raw).decision_id: raw for raw in store}
    told = Counter(map(_in_oracles_words, first_decisions(stored.values())))
    verdict.decisions, verdict.expected = len(stored), len(oracle_says)
    verdict.repeated_in_topic = rows - sum(map(len, faces.values()))
    anew = {
        id
        for id in faces.keys() | stored.keys()
        if faces.get(id) != {stored.get(id)} and _is_retry_of(id, [*faces.get(id, ()), stored.get(id, b"")], rewound)
    }
    verdict.retries_told_anew = len(anew)
    seen, known = faces.keys() - anew, stored.keys() - anew
    verdict.hold("a decision never changes", (id for id in seen if len(faces[id]) > 1))
    verdict.hold("every decision of the store is in the topic", known - seen)
    verdict.hold("every decision of the topic is in the store", seen - known)
    verdict.hold(
        "store and topic tell the same of a decision", (id for id in known & seen if faces[id] != {stored[id]})
    )
    verdict.hold("no decision is lost", set(oracle_says) - told.keys(), "lost")
    verdict.hold("no decision is invented", told.keys() - set(oracle_says))
    verdict.hold("nothing is decided twice", (each for each, times in told.items() if times > 1), "doubled")


def judge_alone(verdict: Verdict, topic: Iterable[bytes], store: Iterable[bytes]) -> None:
    """Where no oracle knows what is right: topic and store tell the same, and no step of a passage is taken twice."""
    told, kept = {decisions.from_json(raw).decision_id: raw for raw in topic}, set(store)
    verdict.hold("store and topic tell the same of a decision", (id for id, raw in told.items() if raw not in kept))
    verdict.hold("every decision of the store is in the topic", kept - set(told.values()))
    steps = Counter((each.customer, each.flow, each.passage, each.message) for each in first_decisions(kept))
    verdict.hold("nothing is decided twice", (step for step, times in steps.items() if times > 1), "doubled")


def _is_retry_of(id: str, raws: Sequence[bytes], rewound: Callable[[str], bool]) -> bool:
    return not id.endswith("-0") and all(rewound(decisions.from_json(raw).customer) for raw in raws if raw)


def withdrawn(deliveries: Iterable[bytes], store: Iterable[bytes], events: Iterable[Mapping[str, Any]]) -> set[str]:
    """Messages that a courier could not bring at once, whose customer moved on before the retry."""
    results: dict[str, tuple[int, str]] = {}
    for raw in deliveries:
        told = msgspec.json.decode(raw, type=Delivery)
        if told.result != "started":
            results[told.message_id] = max(results.get(told.message_id, (0, "")), (told.attempt, told.result))
    moved: dict[tuple[str, str], int] = {}
    for event in events:
        for flow in (flow for flow, enders in MOVES_ON.items() if event.get("event") in enders):
            customer, at = event["userId"], parse_instant(event["timestamp"])
            moved[flow, customer] = max(at, moved.get((flow, customer), at))
    return {
        each.message_id
        for each in first_decisions(store)
        if results.get(each.message_id, (0, ""))[1] in ("deferred", "unknown")
        and moved.get((each.flow, each.customer), 0) >= parse_instant(each.at)
    }


def first_decisions(raws: Iterable[bytes]) -> list[Decision]:
    """The first decision about each message; what follows it are retries."""
    return [each for raw in raws if (each := decisions.from_json(raw)).decision_id == f"{each.message_id}-0"]


def final_decisions(raws: Iterable[bytes]) -> dict[str, Decision]:
    """The last decision about each message, by its id."""
    last: dict[str, tuple[int, Decision]] = {}
    for raw in raws:
        decision = decisions.from_json(raw)
        ordinal = int(decision.decision_id.rpartition("-")[2])
        if ordinal >= last.get(decision.message_id, (-1, decision))[0]:
            last[decision.message_id] = ordinal, decision
    return {message: decision for message, (_, decision) in last.items()}


def _in_oracles_words(made: Decision) -> oracle.Expected:
    at = parse_instant(made.at)
    return oracle.Expected(made.customer, made.flow, made.message, at, made.outcome, made.reason)


def judge_mails(
    verdict: Verdict,
    mails: Sequence[Mail],
    store: Iterable[bytes],
    courier_kills: Sequence[float],
    in_flight_max: int,
    put_off: Collection[str] = (),
    excused: bool = False,
    frozen: Sequence[tuple[float, float]] = (),
    deliveries: Iterable[bytes] = (),
) -> None:
    """Each message that was decided is accepted, and once but for what was in flight when a courier was killed,
    and what the mail server took without saying so, or said when the courier waited no more.

    `put_off` need not come: their customers moved on before they could be tried again, or the server refused them.
    `excused`: the log was put back, and with it what couriers had told.  `frozen`: when the mail server said nothing.
    `deliveries`: what couriers told, of which it counts what they did not know.
    """
    stored = list(store)
    must = {message for message, last in final_decisions(stored).items() if last.outcome == "send"}
    wanted = {each.message_id for each in map(decisions.from_json, stored) if each.outcome == "send"}
    not_known = _not_known(deliveries)
    accepted: dict[str, list[Mail]] = defaultdict(list)
    for mail in mails:
        silent = any(since - 0.2 <= mail.at <= until for since, until in frozen)
        waited = (at - mail.at for at in not_known[mail.message_id])
        silent = silent or any(-SERVER_SECONDS <= seconds <= PATIENCE_SECONDS for seconds in waited)
        accepted[mail.message_id].append(mail._replace(code=NOT_SAID) if silent else mail)
    again = {id: times for id, times in accepted.items() if len(times) > 1}
    unexplained = [id for id, times in again.items() if not excused and not _explained(times, courier_kills)]
    verdict.mails, verdict.mails_twice = len(accepted), sum(len(times) - 1 for times in again.values())
    answered_twice = sum(one.answered for times in again.values() for one in times[:-1])
    verdict.withdrawn = len((must & set(put_off)) - accepted.keys())
    verdict.hold("no mail is lost", must - accepted.keys() - set(put_off), "lost")
    verdict.hold("no mail is invented", accepted.keys() - wanted)
    verdict.hold(
        "a mail comes twice only when its courier was killed while it was in flight", unexplained, "unexplained"
    )
    verdict.hold(
        f"a killed courier repeats at most the {in_flight_max} mails it may have in flight",
        [answered_twice] if not excused and answered_twice > in_flight_max * len(courier_kills) else [],
        "unexplained",
    )


def _not_known(deliveries: Iterable[bytes]) -> dict[str, list[float]]:
    """When (seconds) couriers told of each message that it may have been taken or not."""
    found: dict[str, list[float]] = defaultdict(list)
    for told in (msgspec.json.decode(raw, type=Delivery) for raw in deliveries):
        if told.result == "unknown":
            found[told.message_id].append(parse_instant(told.at) / 1000)
    return found


def _explained(times: Sequence[Mail], kills: Sequence[float]) -> bool:
    """Whether between any two acceptances of one mail a courier was killed, about when the first was; or whether the
    first was never answered."""
    return all(
        not one.answered
        or any(one.at - SERVER_SECONDS <= kill <= min(other.at, one.at + IN_FLIGHT_SECONDS) for kill in kills)
        for one, other in pairwise(times)
    )
