"""The load: events appended at their pace by a thread, whatever the workers do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.proof.crowd import Appended
from benchmarks.proof.deployment import Deployment, Failed
from flows import worker_doors as doors

FLUSH_SECONDS_MAX = 240.0  # a broker that was killed may take a minute to start where there is much other work
LOOK_EVENTS = 100


def append(deployment: Deployment, events: Iterable[Appended]) -> None:
    """Into the log, one by one.  Raises `Failed`."""
    append_rows(deployment, ((each.topic, *each.row) for each in events))


def append_rows(deployment: Deployment, rows: Iterable[tuple[str, bytes | None, bytes]]) -> None:
    """The same with records of a topic, a key and a value."""
    writer = doors.open_writer(deployment.settings)
    try:
        for topic, key, value in rows:
            while not writer.send(topic, key, value):
                time.sleep(0.01)
            if not writer.flush(FLUSH_SECONDS_MAX):
                raise Failed("the log did not take a record")
    finally:
        writer.close()


class Feed:
    """`start` it, `stop` it; then `events` are what was appended, in order.

    `due` says when (seconds since 1970) an event, the so-manieth, is to be appended; None: as soon as there is one.
    `one_by_one`: not before the log has the one before, so that no outage can change their order.
    `lag_max`: the load pauses while the workers are so many events behind, as on a machine that has other work.
    """

    def __init__(
        self,
        deployment: Deployment,
        events: Iterable[Appended],
        due: Callable[[int, Appended], float] | None = None,
        *,
        one_by_one: bool = False,
        lag_max: int | None = None,
    ) -> None:
        self._one_by_one, self._lag_max = one_by_one, lag_max
        self._deployment = deployment
        self.events: list[dict[str, Any]] = []
        self.last_at = 0
        self.late_ms = 0.0
        self._source, self._due = iter(events), due
        self._writer = doors.open_writer(deployment.settings)
        self._enough = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_going(self) -> bool:
        return self._thread.is_alive()

    def stop(self, last: Appended | None = None) -> None:
        """Append no more than this one.  Raises `Failed`."""
        self._enough.set()
        self._thread.join()
        if self._failed is not None:
            raise Failed(f"the load broke off: {self._failed!r}") from self._failed
        if last is not None:
            self._append(last)
        flushed = self._writer.flush(FLUSH_SECONDS_MAX)
        self._writer.close()
        if not flushed:
            raise Failed("the log did not take the events")

    def _run(self) -> None:
        try:
            for number, each in enumerate(self._source):
                due = self._due(number, each) if self._due is not None else time.time()
                while (left := due - time.time()) > 0:
                    if self._enough.wait(min(left, 0.2)):
                        return
                while self._is_far_ahead(number):
                    if self._enough.wait(0.5):
                        return
                if self._enough.is_set():
                    return
                self._append(each)
                self.late_ms = max(self.late_ms, (time.time() - due) * 1000)
        except BaseException as error:
            self._failed = error

    def _is_far_ahead(self, number: int) -> bool:
        """Asked once in a while, since the answer is in files."""
        if self._lag_max is None or number % LOOK_EVENTS:
            return False
        return number - self._deployment.events_applied > self._lag_max

    def _append(self, each: Appended) -> None:
        while not self._writer.send(each.topic, *each.row):
            time.sleep(0.01)
        if self._one_by_one and not self._writer.flush(FLUSH_SECONDS_MAX):
            raise Failed("the log did not take an event")
        self.events.append(each.event)
        self.last_at = max(self.last_at, each.at)
