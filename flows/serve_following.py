"""Follows the events as they come, so that an answer knows of a click before its customer's record is read again."""

from __future__ import annotations

import logging
import threading
import time

from config.settings import Settings
from flows import worker_doors as doors
from operators.recommender.recent import RecentEvents
from state.decode import Decoder, Rejected
from state.records import LogError, TopicPartition

log = logging.getLogger("impuls.serve")

RECORDS_MAX = 50  # at a time: a batch must not hold up the answers
BEFORE_MS = 120_000  # how far back it begins, since records may be older than the start
RETRY_SECONDS = 5.0
WAIT_SECONDS = 0.2


class Following:
    """A daemon thread that keeps `recent` up to date; what it cannot read it tries again."""

    def __init__(self, settings: Settings) -> None:
        self.recent = RecentEvents()
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
            partitions = doors.find_partitions(reader, doors.input_topics(self._settings))
            reader.assign(reader.at_time(partitions, round(time.time() * 1000) - BEFORE_MS))
            while not self._stopping.is_set():
                found = False
                for fetched in reader.poll(RECORDS_MAX):
                    tp = TopicPartition(fetched.topic, fetched.partition)
                    for record in fetched.records:
                        found = True
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
                if not found:
                    reader.wait(WAIT_SECONDS)
        finally:
            reader.close()
