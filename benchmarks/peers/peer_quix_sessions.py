"""Quix Streams once more, doing the whole job: a session window over each customer's additions and orders.

Closed by the time of the partition, or those who do not come back would never be reminded.  Each closing walks over
every open session of the partition, so that it is far slower than state per key.
"""

from __future__ import annotations

import quixstreams.dataframe.windows.aggregations as agg

from benchmarks.peers.course import Course
from benchmarks.peers.job import ADDED, ORDERED, REMINDED_AFTER_MS
from benchmarks.peers.peer_quix import application


def main() -> None:
    course = Course.told()
    app = application(course)
    reminders = app.topic(course.reminders, value_serializer="json")
    carts = app.dataframe(app.topic(course.topic, value_deserializer="json"))
    carts = carts.filter(lambda event: event.get("event") in (ADDED, ORDERED))
    carts = carts.session_window(inactivity_gap_ms=REMINDED_AFTER_MS).agg(last=agg.Latest("event"))
    carts = carts.final(closing_strategy="partition")
    carts = carts.filter(lambda session: session["last"] == ADDED)
    carts = carts.apply(
        lambda session, key, _timestamp, _headers: {
            "customer": key.decode() if isinstance(key, bytes) else key,
            "at": session["end"] - 1 + REMINDED_AFTER_MS,  # a session's end is one past its last event
        },
        metadata=True,
    )
    carts.to_topic(reminders)
    app.run()
    course.done()


if __name__ == "__main__":
    main()
