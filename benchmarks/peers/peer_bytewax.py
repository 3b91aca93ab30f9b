"""Plain Bytewax: its own Kafka source and a session window over each customer's additions and orders, in memory.

Its event clock runs for each key by itself: on a history a session ends at that customer's next event, or at the end
of all input (`tail=False`); live it would end by the wall clock.  Without a recovery store, as here, a crash starts
from the beginning.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
import bytewax.operators.windowing as win
import orjson
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, SessionWindower
from bytewax.run import cli_main

from benchmarks.peers.course import Course
from benchmarks.peers.job import ADDED, ORDERED, REMINDED_AFTER_MS

Step = tuple[int, bool]  # when, whether something is left in the cart
GAP = timedelta(milliseconds=REMINDED_AFTER_MS)


def latest(one: Step, other: Step) -> Step:
    return max(one, other)


def main() -> None:
    course = Course.told()

    def step(message: Any) -> tuple[str, Step] | None:
        course.passed()
        name = orjson.loads(message.value).get("event")
        if name != ADDED and name != ORDERED:
            return None
        return message.key.decode(), (message.timestamp[1], name == ADDED)

    def reminder(item: tuple[str, tuple[int, Step]]) -> KafkaSinkMessage[bytes, bytes] | None:
        customer, (_, (at, is_open)) = item
        if not is_open:
            return None
        told = {"customer": customer, "at": at + REMINDED_AFTER_MS}
        return KafkaSinkMessage(customer.encode(), orjson.dumps(told))

    flow = Dataflow("carts")
    events = op.input("events", flow, KafkaSource([course.servers], [course.topic], tail=False))
    steps = op.filter_map("steps", events, step)
    clock: EventClock[Step] = EventClock(
        ts_getter=lambda step: datetime.fromtimestamp(step[0] / 1000, UTC), wait_for_system_duration=timedelta(0)
    )
    sessions = win.fold_window("sessions", steps, clock, SessionWindower(gap=GAP), lambda: (0, False), latest, latest)
    reminders = op.filter_map("reminders", sessions.down, reminder)
    op.output("out", reminders, KafkaSink([course.servers], course.reminders))
    cli_main(flow)  # type: ignore[no-untyped-call]
    course.done()


if __name__ == "__main__":
    main()
