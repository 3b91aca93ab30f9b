"""What must have come of it, and whether it did: decisions against the oracle, mails against decisions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from benchmarks.proof.mail_server import Mail
from state import decisions
from state.decisions import Decision
from state.instants import parse_instant
from tests.flows import oracle

SHOWN_MAX = 5
IN_FLIGHT_SECONDS = 5.0  # from a mail's acceptance until its result is in the log, at the very most
SERVER_SECONDS = 2.0  # a mail that is all there is accepted though its courier has just died


@dataclass
class Verdict:
    """Counts, and every promise that broke, told with a few of the cases."""

    decisions: int = 0
    expected: int = 0
    repeated_in_topic: int = 0
    mails: int = 0
    mails_twice: int = 0
    broken: list[str] = field(default_factory=list)

    def hold(self, promise: str, against: Iterable[object]) -> None:
        """The promise holds when there is nothing against it."""
        found = list(against)
        if found:
            some = "; ".join(str(each) for each in sorted(found, key=str)[:SHOWN_MAX])
            self.broken.append(f"{promise}: {len(found)} times not, as in {some}")


def judge_decisions(
    verdict: Verdict, topic: Iterable[bytes], store: Iterable[bytes], oracle_says: Collection[oracle.Expected]
) -> None:
    """Topic and store tell the same, each decision has one content, and each message's first is the oracle's."""
    faces: dict[str, set[bytes]] = defaultdict(set)
    rows = 0
    for raw in topic:
        faces[decisions.from_json(raw).decision_id].add(raw)
        rows += 1
    stored = {decisions.from_json(raw).decision_id: raw for raw in store}
    told = Counter(map(_in_oracles_words, first_decisions(stored.values())))
    verdict.decisions, verdict.expected = len(stored), len(oracle_says)
    verdict.repeated_in_topic = rows - len(faces)
    verdict.hold("a decision never changes", (id for id, each in faces.items() if len(each) > 1))
    verdict.hold("every decision of the store is in the topic", stored.keys() - faces.keys())
    verdict.hold("every decision of the topic is in the store", faces.keys() - stored.keys())
    verdict.hold(
        "store and topic tell the same of a decision",
        (id for id, raw in stored.items() if id in faces and faces[id] != {raw}),
    )
    verdict.hold("no decision is lost", set(oracle_says) - told.keys())
    verdict.hold("no decision is invented", told.keys() - set(oracle_says))
    verdict.hold("nothing is decided twice", (each for each, times in told.items() if times > 1))


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
) -> None:
    """Each message that was decided is accepted, and once but for what was in flight when a courier was killed."""
    stored = list(store)
    must = {message for message, last in final_decisions(stored).items() if last.outcome == "send"}
    wanted = {each.message_id for each in map(decisions.from_json, stored) if each.outcome == "send"}
    accepted: dict[str, list[float]] = defaultdict(list)
    for mail in mails:
        accepted[mail.message_id].append(mail.at)
    again = {id: times for id, times in accepted.items() if len(times) > 1}
    unexplained = [id for id, times in again.items() if not _explained(times, courier_kills)]
    verdict.mails, verdict.mails_twice = len(accepted), sum(len(times) - 1 for times in again.values())
    verdict.hold("no mail is lost", must - accepted.keys())
    verdict.hold("no mail is invented", accepted.keys() - wanted)
    verdict.hold("a mail comes twice only when its courier was killed while it was in flight", unexplained)
    verdict.hold(
        f"a killed courier repeats at most the {in_flight_max} mails it may have in flight",
        [verdict.mails_twice] if verdict.mails_twice > in_flight_max * len(courier_kills) else [],
    )


def _explained(times: Sequence[float], kills: Sequence[float]) -> bool:
    """Whether between any two acceptances of one mail a courier was killed, about when the first was."""
    return all(
        any(one - SERVER_SECONDS <= kill <= min(other, one + IN_FLIGHT_SECONDS) for kill in kills)
        for one, other in pairwise(times)
    )
