"""What to tell when a position is not in the log: the place, the fact, and the choices, none of which is ours."""

from __future__ import annotations

from state.records import LogError, TopicPartition


def outside(tp: TopicPartition, offset: int, first: int | None, end: int | None) -> LogError:
    place = f"Kafka topic {tp.topic}, partition {tp.partition}: offset {offset} is wanted"
    if first is None or end is None:
        return LogError(f"{place} and is not there. Ask again when Kafka answers, for what is there.")
    if offset < first:
        fact = (
            f"the first that is still there is {first} (the end is {end}): {first - offset} records were deleted unread"
        )
        choices = (
            "Either restore the topic from a backup, or accept the loss and start at the first offset "
            '(start.at = "earliest" with an emptied data_dir), or at a time you choose (start.at).'
        )
    else:
        fact = f"the log ends at {end} (its first offset is {first}): it was shortened or made anew after it was read"
        choices = (
            "Either point kafka.bootstrap_servers at the cluster that was read before, or put back the state that "
            "belongs to this log, or start afresh with an emptied data_dir and start.at."
        )
    return LogError(f"{place}, but {fact}. {choices} Nothing is skipped by itself.")


def unknown(tp: TopicPartition, partitions: int) -> LogError:
    if not partitions:
        return LogError(f"Kafka has no topic {tp.topic}. Create it, or take it out of kafka.topics.")
    return LogError(
        f"Kafka topic {tp.topic} has {partitions} partitions, and {tp.partition} is none of them. "
        "Kafka never removes partitions: the topic was made anew. Start afresh with an emptied data_dir, or restore it."
    )
