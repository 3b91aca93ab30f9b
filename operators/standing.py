"""The end of a customer's story: where she stands now, and whether the store tells the same one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import Any

from operators.program import Program
from operators.trace import Entry, Trace
from operators.trials import is_shadow
from state.customer import Customer
from state.decisions import Decision
from state.instants import parse_instant
from state.passages import EVENT_CLOCK


def standing(trace: Trace, customer: Customer, stopped: Set[str], until: int, wall: int) -> None:
    """One entry for each wait she rests at and each message that is not settled, by either clock."""
    trace.at = until
    for passage in customer.passages:
        place = {"flow": passage.flow, "subject": passage.subject, "passage": passage.id, "name": passage.wait}
        if passage.set_aside:
            why = f"set aside at {passage.wait}: its own code failed; it goes on when its dead letter is given back"
        elif passage.flow in stopped:
            why = f"rests at {passage.wait}: the flow is stopped"
        elif passage.until <= until:
            why = f"was due at the end of {passage.wait}; no worker has come to it yet"
        else:
            why = f"waits at {passage.wait}"
        trace.add("rests", **place, until=passage.until, detail=why)
    for pending in customer.pending:
        about = {"flow": pending.flow, "subject": pending.subject, "passage": pending.passage}
        message = {"message": pending.template, "message_id": pending.message_id}
        if pending.awaiting:
            why = f"{pending.template}: a courier has attempt {pending.attempt}, its result is awaited"
        elif pending.due <= (until if pending.clock == EVENT_CLOCK else wall):
            why = f"{pending.template}: to be looked at again since then; no worker has come to it yet"
        elif pending.clock == EVENT_CLOCK:
            why = f"{pending.template}: put off"
        else:
            why = f"{pending.template}: to be tried again"
        trace.add(
            "rests", **about, **message, attempt=pending.attempt, reason=pending.why, until=pending.due, detail=why
        )


def cross_check(trace: Trace, stored: Mapping[str, Any], counts: Callable[[Any], bool], kept_since: int) -> None:
    """Say of each decision whether the store holds the same, and tell of those that only the store has."""
    made: set[str] = set()
    for entry in trace.entries:
        if entry.what != "decision":
            continue
        made.add(entry.decision_id)
        told = stored.get(entry.decision_id)
        if told is None:
            entry.stored = "missing" if entry.at >= kept_since else "no_longer_kept"
        elif _same(entry, told.decision):
            entry.stored = "same"
        else:
            entry.stored = "differs"
            entry.holds = _words(told.decision)
    for told in stored.values():
        if told.decision.decision_id not in made and counts(told):
            _put(trace, told.decision)


def compare(trace: Trace, program: Program, mine: Customer, stored: Customer) -> None:
    """Tell where her present record in the store is not what the re-run arrives at."""
    if mine.events != stored.events:
        fewer = mine.events < stored.events
        why = "the rest is no longer there" if fewer else "the store has forgotten her in between"
        _differs(trace, f"the store counts {stored.events} events of hers, the log still has {mine.events}: {why}")
    for one, other, words in (
        (stored, mine, "the store has her at {}, and what is left in the log does not lead there"),
        (mine, stored, "what is left in the log leads her to {}, and the store does not have her there"),
    ):
        for place in sorted(_places(program, one) - _places(program, other)):
            _differs(trace, words.format(" ".join(filter(None, place))))


def _places(program: Program, customer: Customer) -> set[tuple[str, ...]]:
    found = set[tuple[str, ...]]()
    for passage in customer.passages:
        if is_shadow(passage.flow):
            continue  # rests beside the story
        flow = program.by_name.get(passage.flow)
        wait = flow.find_wait(passage.wait) if flow else None
        found.add((passage.flow, passage.subject, f"at {wait[0].name if wait else passage.wait}"))
    for pending in customer.pending:
        if is_shadow(pending.flow):
            continue
        awaits = f"awaiting attempt {pending.attempt}" if pending.awaiting else "put off"
        found.add((pending.flow, pending.subject, pending.template, awaits))
    return found


def _differs(trace: Trace, words: str) -> None:
    trace.add("difference", detail=words)


def _same(entry: Entry, decision: Decision) -> bool:
    until = parse_instant(decision.until) if decision.until else 0
    return (entry.at, entry.outcome, entry.reason, entry.until) == (
        parse_instant(decision.at),
        decision.outcome,
        decision.reason,
        until,
    )


def _words(decision: Decision) -> str:
    reason = f": {decision.reason}" if decision.reason else ""
    until = f" until {decision.until}" if decision.until else ""
    return f"{decision.outcome}{until}{reason} at {decision.at}"


def _put(trace: Trace, decision: Decision) -> None:
    """A decision that the re-run does not come to, at its place in time."""
    at = parse_instant(decision.at)
    entry = Entry(
        at=at,
        what="difference",
        flow=decision.flow,
        passage=decision.passage,
        message=decision.message,
        message_id=decision.message_id,
        decision_id=decision.decision_id,
        outcome=decision.outcome,
        reason=decision.reason,
        stored="only",
        detail=f"{decision.message} {_words(decision)}: in the store, and what is left in the log does not lead to it",
    )
    place = next((n for n, each in enumerate(trace.entries) if each.at > at), len(trace.entries))
    trace.entries.insert(place, entry)
