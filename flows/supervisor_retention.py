"""What the embedded log must keep however old it is: what shards and couriers have yet to read.

A machine that was off for a month, or whose clock is set ahead by one, loses no event by it.
"""

from __future__ import annotations

from contextlib import closing

from config.settings import Settings
from flows import worker_doors as doors
from flows.worker_place import lowest_told
from state.messages import MESSAGES
from state.records import TopicPartition


def unread(settings: Settings, workers: int) -> dict[TopicPartition, int]:
    """By partition, the first offset that somebody has yet to read; of who has not told yet, the very first."""
    told = lowest_told(settings.data_dir, workers)
    with closing(doors.open_reader(settings, doors.COURIERS)) as reader:
        by_shards = doors.find_partitions(reader, (*doors.input_topics(settings), *doors.RESULTS))
        by_couriers = doors.find_partitions(reader, [MESSAGES])
        taken = reader.committed(by_couriers)
    return {tp: told.get(tp, 0) for tp in by_shards} | {tp: taken.get(tp, 0) for tp in by_couriers}
