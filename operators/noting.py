"""Where an input came to a customer that nobody would expect there: noted with her, for those who ask why."""

from __future__ import annotations

from functools import partial

from operators.residents import Entry
from operators.surroundings import Surroundings
from state.arrivals import arrive, came
from state.records import Record, TopicPartition


def note(
    around: Surroundings,
    entry: Entry,
    at: tuple[TopicPartition, Record],
    happened: int | None = None,
    *,
    matters: bool = True,
) -> None:
    """Before she is touched by it.  `happened`: the time of an event (milliseconds).

    `matters`: what is decided of her hangs on when it came.
    """
    if not around.publishes:
        return  # nobody asks for the customers of a replay
    (tp, record), customer = at, entry.customer
    key = record.timestamp_ms if around.clock == "live" else happened
    place = (tp.topic, tp.partition, record.offset)
    due = partial(around.engine.waits.next_wake, customer)
    if key is None:
        if matters:
            customer.arrivals = came(customer.arrivals, place, due())
        return
    is_late = entry.event_due < key if happened is None else happened <= customer.woken
    customer.arrivals = arrive(customer.arrivals, place, key=key, at=happened, is_late=is_late, due=due)
