"""What became of a load: the decisions and deliveries that followed it, read from the log when it is over.

An event says as its time when it was due, and a decision says the time of its event, so that latencies count from the
moment that was intended.  When a decision was there, its record in the log says (in whole milliseconds).  When the mail
server accepted, the courier says, as the time since the event entered the log; that event's record says when it did.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from benchmarks.load.generator import CLICKS
from config.settings import Settings
from flows import worker_doors as doors
from state.decisions import from_json
from state.instants import parse_instant
from state.messages import Delivery
from state.records import Fetched, Reader, TopicPartition

DECISIONS, DELIVERIES = "decisions", "deliveries"
SETTLE_SECONDS_MAX = 30.0
QUIET_SECONDS = 3.0  # where nobody knows how many there will be
_delivery = msgspec.json.Decoder(Delivery).decode


@dataclass(frozen=True)
class Seen:
    """Milliseconds from when an event was due, as (when it was due, how long it took)."""

    decided: list[tuple[int, float]] = field(default_factory=list)
    accepted: list[tuple[int, float]] = field(default_factory=list)
    repeated: int = 0  # deliveries of a message that had been accepted before
    refused: int = 0  # and what else came of mails than being accepted: deferred, unknown, …


@dataclass
class _Found:
    due: dict[str, int] = field(default_factory=dict)  # by message id
    decided: list[tuple[int, float]] = field(default_factory=list)
    cause: dict[str, tuple[TopicPartition, int]] = field(default_factory=dict)
    accepted: dict[str, tuple[float, int]] = field(default_factory=dict)  # milliseconds it took, and when it was
    repeated: int = 0
    refused: int = 0


class Watch:
    """Made before the load, it knows where to read from; `see` is called when the load is over.

    `of`: the flow whose decisions and messages count; all where it is empty.
    """

    def __init__(self, settings: Settings, topic: str = CLICKS, *, of: str = "") -> None:
        self._settings, self._topic, self._of = settings, topic, of
        reader = doors.open_reader(settings, "benchmark")
        try:
            self._since = reader.ends(doors.find_partitions(reader, (topic, DECISIONS, DELIVERIES)))
        finally:
            reader.close()

    def see(self, from_ms: int, until_ms: int, mails: int | None, seconds_max: float = SETTLE_SECONDS_MAX) -> Seen:
        """What followed from the events due in between.

        Waits until so many mails are accepted, or the time is over; where nobody knows how many there will be (None),
        until nothing has come for some seconds.
        """
        found = _Found()

        def note(fetched: Fetched) -> None:
            if fetched.topic == DECISIONS:
                self._note_decisions(fetched, found, from_ms, until_ms)
            else:
                _note_deliveries(fetched, found)

        def is_enough() -> bool:
            return mails is not None and len(found.accepted.keys() & found.due.keys()) >= mails

        quiet = QUIET_SECONDS if mails is None else seconds_max
        self._read((DECISIONS, DELIVERIES), note, is_enough, seconds_max, quiet)
        timed = {message: took for message, (took, _) in found.accepted.items() if took and message in found.due}
        entered = self._entered({found.cause[message] for message in timed})
        accepted = []
        for message in found.accepted.keys() & found.due.keys():
            due, cause = found.due[message], found.cause[message]
            if message in timed and cause in entered:
                accepted.append((due, entered[cause] + timed[message] - due))
            else:  # tried again later: to the millisecond is good enough
                accepted.append((due, float(found.accepted[message][1] - due)))
        return Seen(sorted(found.decided), sorted(accepted), found.repeated, found.refused)

    def _note_decisions(self, fetched: Fetched, found: _Found, from_ms: int, until_ms: int) -> None:
        for record in fetched.records:
            if record.value is None:
                continue
            decision = from_json(record.value)
            cause = decision.cause
            if cause is None or cause.topic != self._topic or decision.message_id in found.due:
                continue
            if self._of and decision.flow != self._of:
                continue
            due = parse_instant(decision.at)
            if from_ms <= due < until_ms:
                found.decided.append((due, record.timestamp_ms - due))
                if decision.outcome == "send":
                    found.due[decision.message_id] = due
                    found.cause[decision.message_id] = TopicPartition(cause.topic, cause.partition), cause.offset

    def _entered(self, awaited: set[tuple[TopicPartition, int]]) -> dict[tuple[TopicPartition, int], int]:
        """When these events entered the log."""
        found: dict[tuple[TopicPartition, int], int] = {}

        def note(fetched: Fetched) -> None:
            tp = TopicPartition(fetched.topic, fetched.partition)
            for record in fetched.records:
                if (tp, record.offset) in awaited:
                    found[tp, record.offset] = record.timestamp_ms

        self._read((self._topic,), note, lambda: len(found) >= len(awaited), 10 * SETTLE_SECONDS_MAX, QUIET_SECONDS)
        return found

    def _read(
        self,
        topics: tuple[str, ...],
        note: Callable[[Fetched], None],
        is_enough: Callable[[], bool],
        seconds_max: float,
        quiet_seconds: float,
    ) -> None:
        reader = doors.open_reader(self._settings, "benchmark")
        try:
            reader.assign({tp: offset for tp, offset in self._since.items() if tp.topic in topics})
            _read_until(reader, note, is_enough, seconds_max, quiet_seconds)
        finally:
            reader.close()


def _read_until(
    reader: Reader,
    note: Callable[[Fetched], None],
    is_enough: Callable[[], bool],
    seconds_max: float,
    quiet_seconds: float,
) -> None:
    deadline = time.monotonic() + seconds_max
    quiet_at = time.monotonic() + quiet_seconds
    while not is_enough() and time.monotonic() < min(deadline, quiet_at):
        reader.wait(0.05)
        for fetched in reader.poll(10_000):
            if fetched.records:
                note(fetched)
                quiet_at = time.monotonic() + quiet_seconds


def _note_deliveries(fetched: Fetched, found: _Found) -> None:
    for record in fetched.records:
        if record.value is None:
            continue
        delivery = _delivery(record.value)
        if delivery.result == "accepted":
            if delivery.message_id in found.accepted:
                found.repeated += 1
            else:
                found.accepted[delivery.message_id] = delivery.took_ms, parse_instant(delivery.at)
        elif delivery.result != "started":
            found.refused += 1


def by_bucket(values: list[tuple[int, float]], began_ms: int, width_ms: int) -> Mapping[int, list[float]]:
    """The latencies of what was due in each slice of time, by the slice's number."""
    found: defaultdict[int, list[float]] = defaultdict(list)
    for due, took in values:
        found[(due - began_ms) // width_ms].append(took)
    return found
