"""From the moment an event should have been appended to the moment the mail server has accepted its mail.

An open loop: events have their times beforehand and are appended at them, however slow what is measured answers;
where appending itself is late, the wait counts.  One event in five is the first consent of a customer with an
address, which `welcome` answers with a mail at once; the others are views and changes of carts.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count

import msgspec

from benchmarks.figures import percentile
from benchmarks.parked import Crowd, name
from config.settings import Settings
from flows import worker_doors as doors
from state.instants import format_instant
from state.messages import Delivery
from state.records import Record, TopicPartition, Writer

CLICKS, DELIVERIES = "clickstream", "deliveries"
MAILS_ONE_IN = 5
CARTS = 0.2  # of the other events
LATE_SECONDS = 0.05  # later than this and the load was not what it says
SETTLE_SECONDS_MAX = 15.0
_delivery = msgspec.json.Decoder(Delivery).decode


@dataclass(frozen=True)
class Latency:
    """One repetition.  `late` counts the events that were appended more than 50 ms after their time."""

    events: int
    seconds: float
    mails: int
    late: int
    milliseconds: list[float]

    @property
    def p50(self) -> float:
        return percentile(self.milliseconds, 0.5)

    @property
    def p99(self) -> float:
        return percentile(self.milliseconds, 0.99)

    def warnings(self, rate: int) -> Iterator[str]:
        """Where the load was not what it should have been, or mails are missing."""
        if self.late > self.events // 1000:
            yield f"could not keep its rate: {self.late} of {self.events} events were appended over 50 ms late"
        if self.events / self.seconds < 0.98 * rate:
            yield f"could not keep its rate: {self.events / self.seconds:.0f} events a second instead of {rate}"
        if len(self.milliseconds) < self.mails:
            yield f"of {self.mails} mails {self.mails - len(self.milliseconds)} were not accepted in time"


class Visitors:
    """Events of a parked crowd: each of the known agrees to mail once, all look around and fill their carts."""

    def __init__(self, crowd: Crowd, seed: int) -> None:
        self._crowd, self._chance = crowd, random.Random(seed)
        self._agreeing = iter(range(crowd.known))
        self._numbers = count()

    def next(self, *, mails: bool) -> tuple[str, bytes]:
        """A customer and what she does, now."""
        number = next(self._numbers)
        if mails:
            visitor = next(self._agreeing)
            body = '"event":"Consent Granted","properties":{"channel":"email","topic":"marketing"}'
        else:
            visitor = self._chance.randrange(self._crowd.customers)
            event, more = ("Product Viewed", "")
            if self._chance.random() < CARTS:
                event, more = "Product Added", f',"quantity":1,"cart_id":"k{visitor}"'
            body = (
                f'"event":"{event}","properties":{{"product_id":"p{number % 997}","name":"Product","price":19.90,'
                f'"currency":"PLN","url":"https://shop.example/p{number % 997}"{more}}}'
            )
        who, at = name(visitor), format_instant(round(time.time() * 1000))
        return who, f'{{"type":"track",{body},"messageId":"b-{number}","userId":"{who}","timestamp":"{at}"}}'.encode()


def load(settings: Settings, visitors: Visitors, rate: int, seconds: float) -> Latency:
    """Append at this rate for so long, then wait for the mails."""
    since = _ends(settings)
    writer = doors.open_writer(settings)
    began, began_wall = time.perf_counter(), time.time()
    due_walls: dict[str, float] = {}
    events = round(rate * seconds)
    late = 0
    for number in range(events):
        due = began + number / rate
        while (now := time.perf_counter()) < due:
            time.sleep(due - now)
        late += now > due + LATE_SECONDS
        mails = number % MAILS_ONE_IN == 0
        who, value = visitors.next(mails=mails)
        if mails:
            due_walls[who] = began_wall + number / rate
        _append(writer, who, value)
    took = max(time.perf_counter() - began, seconds)
    writer.flush(10)
    writer.close()
    accepted = _accepted(settings, since, due_walls)
    found = [(accepted[who] - due_walls[who]) * 1000 for who in due_walls if who in accepted]
    return Latency(events, took, len(due_walls), late, found)


def rush(settings: Settings, visitors: Visitors, events: int) -> None:
    """Append so many ordinary events as fast as the log takes them."""
    writer = doors.open_writer(settings)
    for _ in range(events):
        _append(writer, *visitors.next(mails=False))
    writer.flush(60)
    writer.close()


def _append(writer: Writer, who: str, value: bytes) -> None:
    while not writer.send(CLICKS, who.encode(), value):
        time.sleep(0.001)


def _accepted(
    settings: Settings, since: Mapping[TopicPartition, int], awaited: Mapping[str, float]
) -> dict[str, float]:
    """When (wall seconds) the mail of each customer was accepted.

    A result tells how long it took since its event entered the log, and the log when that was.
    """
    entered: dict[str, int] = {}
    took: dict[str, float] = {}
    reader = doors.open_reader(settings, "benchmark")
    try:
        reader.assign(since)
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        while time.monotonic() < deadline and (len(took) < len(awaited) or len(entered) < len(awaited)):
            reader.wait(0.05)
            for fetched in reader.poll(10_000):
                for record in fetched.records:
                    _note(fetched.topic, record, entered, took)
    finally:
        reader.close()
    return {who: entered[who] / 1000 + took[who] / 1000 for who in awaited if who in took and who in entered}


def _note(topic: str, record: Record, entered: dict[str, int], took: dict[str, float]) -> None:
    who, value = (record.key or b"").decode(), record.value or b""
    if topic == CLICKS and b"Consent Granted" in value:
        entered[who] = record.timestamp_ms
    elif topic == DELIVERIES:
        delivery = _delivery(value)
        if delivery.result == "accepted" and delivery.took_ms:
            took[who] = delivery.took_ms


def _ends(settings: Settings) -> dict[TopicPartition, int]:
    reader = doors.open_reader(settings, "benchmark")
    try:
        return reader.ends(doors.find_partitions(reader, (CLICKS, DELIVERIES)))
    finally:
        reader.close()
