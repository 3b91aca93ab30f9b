"""A message that nobody tells the result of is given up, but not because everybody stood still."""

from __future__ import annotations

from operators.effects import Effects
from operators.results import never_told
from operators.sending import RESULT_SLACK_MS, Turn
from state.customer import Customer
from state.decisions import Cause
from state.passages import WALL_CLOCK, Pending

NOW = 1_700_000_000_000


def handed_on(name: str, due: int) -> Pending:
    return Pending(
        message_id=name,
        flow="welcome",
        subject="",
        passage="p",
        entered_at=0,
        step="enter/welcome/1",
        wait="",
        template="welcome",
        event=b"",
        at=0,
        decisions=1,
        due=due,
        clock=WALL_CLOCK,
        awaiting=True,
        attempt=1,
    )


def turn(*pending: Pending) -> Turn:
    return Turn(Customer(id="c", pending=list(pending)), NOW, Effects(), Cause("", 0, 0))


def test_what_expired_while_the_worker_ran_is_given_up() -> None:
    given_up, other = handed_on("m1", NOW - 1), handed_on("m2", NOW + 1)
    moved = turn(given_up, other)
    never_told(moved, given_up, started=NOW - 10_000)
    assert moved.customer.pending == [other]
    assert moved.effects.lost == 1


def test_what_expired_before_it_started_has_as_long_as_ever() -> None:
    """The courier stood still as well: it may be about to say that it never called."""
    waits, other = handed_on("m1", NOW - 10_001), handed_on("m2", NOW + 1)
    moved = turn(waits, other)
    never_told(moved, waits, started=NOW - 10_000)
    [still, same] = moved.customer.pending
    assert (still.message_id, still.awaiting, still.due) == ("m1", True, NOW + RESULT_SLACK_MS)
    assert same == other
    assert moved.effects.lost == 0
    later = turn(still)
    later.wall = still.due
    never_told(later, still, started=NOW - 10_000)
    assert later.customer.pending == []
    assert later.effects.lost == 1
