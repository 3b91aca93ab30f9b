"""Where two records of one customer rest inside flows, and their messages, become hers.

Of two passages of one flow about one thing, the one further on stays.  Where each entering event starts the flow over,
that is the one entered last.
"""

from __future__ import annotations

from typing import Any

import msgspec

from operators.flow import Flow
from operators.program import Program
from state.customer import Customer
from state.ids import event_hash
from state.passages import PASSAGES_MAX, Passage, Pending


def merge(known: Customer, other: Customer, program: Program) -> None:
    theirs = {(each.flow, each.subject): each for each in other.passages}
    kept: list[Passage] = []
    lost: set[str] = set()
    for mine in known.passages:
        hers = theirs.get((mine.flow, mine.subject))
        if hers is not None and hers.id != mine.id:
            flow = program.by_name.get(mine.flow)
            if flow is not None and _place(flow, hers) > _place(flow, mine):
                lost.add(mine.id)
                continue
            lost.add(hers.id)
            del theirs[mine.flow, mine.subject]
        elif hers is not None:
            del theirs[mine.flow, mine.subject]
        kept.append(mine)
    known.passages = sorted([*kept, *theirs.values()], key=lambda each: (each.entered_at, each.id))[-PASSAGES_MAX:]
    known.pending = _pending(known.pending, other.pending, lost)


def _place(flow: Flow[Any], passage: Passage) -> tuple[int, int, str]:
    """The greater, the further on; the id only makes two alike comparable."""
    if flow.restart:
        return passage.entered_at, 0, passage.id
    waits = list(flow.after)
    name = flow.renamed.get(passage.wait, passage.wait)
    return waits.index(name) if name in waits else -1, -passage.entered_at, passage.id


def _pending(mine: list[Pending], hers: list[Pending], lost: set[str]) -> list[Pending]:
    """All messages come along but those of a passage that is left, of which only the attempt under way ends."""
    ids = {each.message_id for each in mine}
    both = [*mine, *(each for each in hers if each.message_id not in ids)]
    return [
        each if each.passage not in lost else msgspec.structs.replace(each, left=True)
        for each in both
        if each.passage not in lost or each.awaiting
    ]


def tell_again(known: Customer, brought: list[str], hers: list[Pending]) -> None:
    """A merge that comes again, from a shard put back, tells how messages went that a courier had then."""
    there = {each.message_id: each for each in hers}
    kept: list[Pending] = []
    for mine in known.pending:
        again = there.get(mine.message_id)
        if mine.message_id not in brought:
            kept.append(mine)
        elif again is None:
            known.remember(event_hash(mine.message_id))  # its result was read there
        elif (again.attempt, not again.awaiting) > (mine.attempt, not mine.awaiting):
            kept.append(again)
        else:
            kept.append(mine)
    known.pending = kept
