"""Reading topics from their beginning to where they end now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from state.records import Fetched, Reader, TopicPartition

BATCH = 5_000
Progress = Callable[[int, int], None]


def partitions_of(reader: Reader, topics: Iterable[str]) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for topic in topics for number in reader.partitions(topic)]


def scan(
    reader: Reader, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int], progress: Progress
) -> Iterator[Fetched]:
    """What lies between; records that came after `ends` was looked up may be in the last fetches, too."""
    positions = dict(starts)
    start = sum(positions.values())
    total = sum(ends.values()) - start
    reader.assign(positions)
    while any(positions[tp] < ends[tp] for tp in positions):
        for fetched in reader.poll(BATCH):
            positions[TopicPartition(fetched.topic, fetched.partition)] = fetched.end
            yield fetched
        progress(sum(positions.values()) - start, total)
        if any(positions[tp] < ends[tp] for tp in positions):
            reader.wait(0.05)
