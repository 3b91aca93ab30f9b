"""Quix Streams: state per key in RocksDB with a changelog, as its pages on stateful processing write it.

It has no timers: a reminder comes at the customer's next event.  Settings are its own defaults.  The variant
`exactly-once` sets its processing guarantee to that.
"""

from __future__ import annotations

from typing import Any

from quixstreams import Application, State

from benchmarks.peers.course import Course
from benchmarks.peers.job import ADDED, ORDERED, REMINDED_AFTER_MS

Cart = dict[str, Any]


def remind(event: Cart, key: bytes, timestamp: int, _headers: Any, state: State) -> Cart | None:
    due = state.get("due")
    name = event.get("event")
    reminder = None
    if due is not None and due < timestamp:
        reminder = {"customer": event["userId"], "at": due}
        state.delete("due")
    if name == ADDED:
        state.set("due", timestamp + REMINDED_AFTER_MS)
    elif name == ORDERED:
        state.delete("due")
    return reminder


def application(course: Course) -> Application:
    """Stops when it has processed what the course holds."""

    def processed(*_: Any) -> None:
        if course.passed():
            app.stop()

    app = Application(
        broker_address=course.servers,
        consumer_group=course.group,
        auto_offset_reset="earliest",
        state_dir=course.folder / "state",
        processing_guarantee="exactly-once" if course.variant == "exactly-once" else "at-least-once",
        on_message_processed=processed,
        loglevel="WARNING",
    )
    return app


def main() -> None:
    course = Course.told()
    app = application(course)
    reminders = app.topic(course.reminders, value_serializer="json")
    carts = app.dataframe(app.topic(course.topic, value_deserializer="json"))
    carts = carts.apply(remind, stateful=True, metadata=True)
    carts = carts.filter(lambda reminder: reminder is not None)
    carts.to_topic(reminders)
    app.run()
    course.done()


if __name__ == "__main__":
    main()
