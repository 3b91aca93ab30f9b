"""Follows the events as they come, so that an answer knows of a click before its customer's record is read again; and
the answers themselves, those of other processes too, so that none shows the same over and over."""

from __future__ import annotations

import logging
import threading
import time

import msgspec

from config.settings import Settings
from flows import worker_doors as doors
from operators.recommender.recent import RecentEvents, RecentlyShown
from state.decode import Decoder, Rejected
from state.instants import parse_instant
from state.recommendations import TOPIC
from state.records import LogError, Reader, Record, TopicPartition

log = logging.getLogger("impuls.serve")

RECORDS_MAX = 50  # at a time: a batch must not hold up the answers
BEFORE_MS = 120_000  # how far back it begins, since records may be older than the start
ANSWERS_BEFORE_MS, ANSWERS_BEFORE_MAX = 86_400_000, 20_000  # how far among the answers, and how many
LOOK_SECONDS = 30.0  # how often it looks for a topic of answers that is not there
RETRY_SECONDS = 5.0
WAIT_SECONDS = 0.2
PAUSE_SECONDS = 0.005  # between two looks: each takes the interpreter from whoever answers


class _Item(msgspec.Struct, gc=False):
    item: str


class _Answer(msgspec.Struct, gc=False):
    """Of a `Recommendation`, what tells that something was shown."""

    at: str
    customer: str = ""
    message_id: str = ""
    items: tuple[_Item, ...] = ()


_answer = msgspec.json.Decoder(_Answer).decode


class Following:
    """A daemon thread that keeps `recent` and `shown` up to date; what it cannot read it tries again."""

    def __init__(self, settings: Settings) -> None:
        self.recent, self.shown = RecentEvents(), RecentlyShown()
        self._settings, self._decoder = settings, Decoder(settings.currency)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follow", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(WAIT_SECONDS * 10)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except LogError as error:
                log.warning("events not followed", extra={"fact": str(error)})
                self._stopping.wait(RETRY_SECONDS)

    def _follow(self) -> None:
        reader = doors.open_reader(self._settings, f"{self._settings.kafka.group}-serve")
        try:
            has_answers = self._begin(reader)
            look_at = time.monotonic() + LOOK_SECONDS
            while not self._stopping.is_set():
                found = 0
                for fetched in reader.poll(RECORDS_MAX):
                    tp = TopicPartition(fetched.topic, fetched.partition)
                    for record in fetched.records:
                        found += 1
                        if tp.topic == TOPIC:
                            self._take_answer(record)
                        else:
                            self._take_event(tp, record)
                if not found:
                    reader.wait(WAIT_SECONDS)
                if found < RECORDS_MAX:
                    self._stopping.wait(PAUSE_SECONDS)
                if not has_answers and time.monotonic() > look_at:
                    look_at = time.monotonic() + LOOK_SECONDS
                    if reader.partitions(TOPIC):
                        return  # and begin again, with them
        finally:
            reader.close()

    def _begin(self, reader: Reader) -> bool:
        """Assign what is to be read, from where; whether there are answers to read."""
        now = round(time.time() * 1000)
        events = doors.find_partitions(reader, doors.input_topics(self._settings))
        answers = [TopicPartition(TOPIC, number) for number in reader.partitions(TOPIC)]
        places = reader.at_time(events, now - BEFORE_MS)
        if answers:
            ends, each_max = reader.ends(answers), ANSWERS_BEFORE_MAX // len(answers)
            for tp, offset in reader.at_time(answers, now - ANSWERS_BEFORE_MS).items():
                places[tp] = max(offset, ends[tp] - each_max)
        reader.assign(places)
        return bool(answers)

    def _take_event(self, tp: TopicPartition, record: Record) -> None:
        event = self._decoder.decode(
            record.value,
            key=record.key,
            topic=tp.topic,
            partition=tp.partition,
            offset=record.offset,
            now=round(time.time() * 1000),
            clock=self._settings.clock,
        )
        if not isinstance(event, Rejected):
            self.recent.take(event)
            self.shown.take(event)

    def _take_answer(self, record: Record) -> None:
        try:
            answer = _answer(record.value or b"")
            at = parse_instant(answer.at)
        except (msgspec.MsgspecError, ValueError):
            return
        # What a message showed stands in her record, once it was accepted.
        if answer.customer and not answer.message_id:
            self.shown.note(answer.customer, [each.item for each in answer.items], min(at, round(time.time() * 1000)))
