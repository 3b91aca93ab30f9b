"""Following a topic of ours from its beginning, a little at a time."""

from __future__ import annotations

import time

from benchmarks.proof.deployment import Deployment, Failed
from flows import worker_doors as doors
from state.records import TopicPartition

SECONDS_MAX = 60.0


class Tail:
    """`read` it for all records there are."""

    def __init__(self, deployment: Deployment, topic: str) -> None:
        self._deployment, self._topic = deployment, topic
        self._open()

    def read(self) -> list[bytes]:
        """All records so far, in no particular order of partitions.  Raises `Failed`."""
        ends = self._reader.ends(list(self._positions))
        deadline = time.monotonic() + SECONDS_MAX
        while any(self._positions[tp] < end for tp, end in ends.items()):
            if time.monotonic() > deadline:
                raise Failed(f"topic {self._topic} could not be read to its end within {SECONDS_MAX:.0f} s")
            self._reader.wait(0.05)
            for fetched in self._reader.poll(5_000):
                self._positions[TopicPartition(fetched.topic, fetched.partition)] = fetched.end
                self.records += [record.value for record in fetched.records if record.value is not None]
        return self.records

    def begin_anew(self) -> None:
        """The log was put back: what was read of it holds no longer."""
        self._reader.close()
        self._open()

    def close(self) -> None:
        self._reader.close()

    def _open(self) -> None:
        self.records: list[bytes] = []
        self._reader = doors.open_reader(self._deployment.settings, "proof")
        partitions = [TopicPartition(self._topic, number) for number in self._reader.partitions(self._topic)]
        self._positions = dict(self._reader.beginnings(partitions))
        self._reader.assign(self._positions)
