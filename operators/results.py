"""What a courier's result means for a message: done, try again, give the cap back, suppress the address."""

from __future__ import annotations

import msgspec

from operators.observe import suppress
from operators.recommender.shown import SHOWN_MAX, showed
from operators.sending import RESULT_SLACK_MS, Sending, Turn
from state.customer import EARLY_RESULTS_MAX, Customer
from state.decisions import Reason
from state.ids import Ids, event_hash
from state.instants import parse_instant
from state.messages import Delivery
from state.passages import WALL_CLOCK, Pending

BACKOFF_MS_MIN = 5_000
BACKOFF_MS_MAX = 600_000
NOT_CALLED = frozenset({"stale", "busy", "circuit_open"})


def settle(sending: Sending, ids: Ids, turn: Turn, delivery: Delivery, *, at_most_once: bool) -> None:
    """Take one result in.  Results of an attempt before the last change nothing, but for `accepted`."""
    customer = turn.customer
    if delivery.gone:
        _take_off(customer, delivery, ids, turn.wall)
    pending = next((each for each in customer.pending if each.message_id == delivery.message_id), None)
    if pending is None:
        _keep_early(customer, delivery)
        return
    if delivery.result == "started":
        return
    if delivery.attempt > pending.attempt:
        _keep_early(customer, delivery)  # of an attempt that a shard put back has yet to repeat
        return
    if delivery.result != "accepted" and (not pending.awaiting or delivery.attempt != pending.attempt):
        return
    customer.pending = [each for each in customer.pending if each is not pending]
    match delivery.result:
        case "accepted":
            _showed(customer, delivery, turn.wall)
            _done(customer, pending)
        case "refused":
            _give_back(customer, pending)
            _done(customer, pending)
            if delivery.permanent_address:
                suppress(customer, pending.address, "refused", ids)
            _in_its_place(sending, turn, pending, delivery, "refused")
        case "no_content":
            _give_back(customer, pending)
            _done(customer, pending)
            if not _in_its_place(sending, turn, pending, delivery, "no_content"):
                sending.decide(turn, pending, _moment(pending), "skip", "no_content")
        case "unknown" if at_most_once:
            _showed(customer, delivery, turn.wall)
            _done(customer, pending)
        case "unknown" | "deferred":
            _give_back(customer, pending)
            if pending.left:
                _showed(customer, delivery, turn.wall)
                _done(customer, pending)
            else:
                _retry(sending, ids, turn, pending, delivery)


def early_results(customer: Customer, message_id: str) -> list[Delivery]:
    """Take out the results that were read before their message was decided, for a shard put back."""
    if not customer.early_results:
        return []
    found = [each for each in customer.early_results if each.message_id == message_id]
    if found:
        customer.early_results = [each for each in customer.early_results if each.message_id != message_id]
    return found


def never_told(turn: Turn, pending: Pending, started: int) -> None:
    """Nobody told the result before the message expired: unknown, and too late to try again.

    Where it expired before this worker started (milliseconds, wall time), its courier may have stood still as well, and
    has as long as ever to tell what became of it, or that it was never called for.
    """
    if pending.due < started:
        waits = msgspec.structs.replace(pending, due=turn.wall + RESULT_SLACK_MS)
        turn.customer.pending = [waits if each is pending else each for each in turn.customer.pending]
        return
    turn.effects.lost += 1
    turn.customer.pending = [each for each in turn.customer.pending if each is not pending]
    _done(turn.customer, pending)


def retry_delay(ids: Ids, message_id: str, attempt: int, retry_after_seconds: float = 0.0) -> int:
    """Milliseconds until the next attempt: doubling from 5 s to 10 min, between half and all of it by a keyed draw."""
    delay = min(BACKOFF_MS_MAX, BACKOFF_MS_MIN << min(max(attempt - 1, 0), 10))
    jittered = round(delay * (0.5 + ids.share("retry", message_id, str(attempt)) / 2))
    return max(jittered, round(min(retry_after_seconds, 3600) * 1000))


def _retry(sending: Sending, ids: Ids, turn: Turn, pending: Pending, delivery: Delivery) -> None:
    # Counted from when the courier told, so that a shard put back arrives at the same moment.
    due = _told_at(delivery, turn.wall) + retry_delay(
        ids, pending.message_id, pending.attempt, delivery.retry_after_seconds
    )
    reason: Reason = "stale" if delivery.detail == "stale" else "retry"
    sending.decide(turn, pending, _moment(pending), "defer", reason, due)
    called = delivery.result == "deferred" and delivery.detail not in NOT_CALLED
    sending.park(turn.customer, pending, due, WALL_CLOCK, reason, refusals=int(called))


def _in_its_place(sending: Sending, turn: Turn, pending: Pending, delivery: Delivery, reason: Reason) -> bool:
    """Have the message that goes in its place looked at, at once but by itself: its flow's code may fail."""
    if pending.left or not pending.otherwise:
        return False
    other = sending.replace(turn, pending, _moment(pending), reason)
    if other is None:
        return False
    due = _told_at(delivery, turn.wall)
    waits = msgspec.structs.replace(other, due=due, clock=WALL_CLOCK, why=reason)
    turn.customer.pending = [*turn.customer.pending, waits]
    return True


def _told_at(delivery: Delivery, wall: int) -> int:
    try:
        return min(parse_instant(delivery.at), wall)
    except ValueError:
        return wall


def _moment(pending: Pending) -> int:
    return pending.at


def _give_back(customer: Customer, pending: Pending) -> None:
    customer.sent = [each for each in customer.sent if each.message_id != pending.message_id]


def _done(customer: Customer, pending: Pending) -> None:
    # A result told twice is known for what it is.
    customer.remember(event_hash(pending.message_id))


def _showed(customer: Customer, delivery: Delivery, wall: int) -> None:
    """A message counts once, with what its last attempt showed: where it is tried again, that attempt will tell."""
    if delivery.shown:
        at = _told_at(delivery, wall)
        customer.shown = showed(customer.shown, delivery.shown[:SHOWN_MAX], at)


def _take_off(customer: Customer, delivery: Delivery, ids: Ids, wall: int) -> None:
    """Forget devices that are gone, but for those registered again since it was told."""
    told_at = _told_at(delivery, wall)
    customer.devices = {
        token: at for token, at in customer.devices.items() if at > told_at or ids.address(token) not in delivery.gone
    }


def _keep_early(customer: Customer, delivery: Delivery) -> None:
    if delivery.result == "started" or customer.has_seen(event_hash(delivery.message_id)):
        return
    known = customer.early_results
    if not any(msgspec.structs.astuple(each) == msgspec.structs.astuple(delivery) for each in known):
        customer.early_results = [*known, delivery][-EARLY_RESULTS_MAX:]
