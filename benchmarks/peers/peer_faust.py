"""Faust (the fork that is kept, faust-streaming): an agent and a table in RocksDB with a changelog.

A table may only be changed where a stream is read, not by a timer, so that a reminder comes at the customer's next
event.  Defaults but for: no web server, orjson, uvloop, and no wait for an empty buffer.
"""

from __future__ import annotations

import os
import signal

import faust
import uvloop

from benchmarks.peers.course import Course
from benchmarks.peers.job import ADDED, ORDERED, PARTITIONS, REMINDED_AFTER_MS


def main() -> None:
    course = Course.told()
    uvloop.install()
    app = faust.App(
        course.group,
        broker=f"kafka://{course.servers}",
        store="rocksdb://",
        datadir=str(course.folder / "state"),
        topic_partitions=PARTITIONS,
        consumer_auto_offset_reset="earliest",
        value_serializer="json",
        web_enabled=False,
    )
    events = app.topic(course.topic, key_type=str, key_serializer="raw")
    reminders = app.topic(course.reminders, key_type=str, key_serializer="raw")
    dues = app.Table("dues", default=int, key_type=str, value_type=int)

    @app.agent(events)
    async def remind(stream: faust.Stream) -> None:
        async for each in stream.events():
            event, at = each.value, round(each.message.timestamp * 1000)
            customer, name = event["userId"], event.get("event")
            due = dues.get(customer)
            if due and due < at:
                await reminders.send(key=customer, value={"customer": customer, "at": due})
                del dues[customer]
            if name == ADDED:
                dues[customer] = at + REMINDED_AFTER_MS
            elif name == ORDERED and due:
                dues.pop(customer, None)
            if course.passed():
                await app.commit(app.topics)
                await app.producer.flush()
                course.done()
                os.kill(os.getpid(), signal.SIGTERM)

    faust.Worker(app, loglevel="WARNING").execute_from_commandline()


if __name__ == "__main__":
    main()
