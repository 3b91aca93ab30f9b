"""Where things lie in an embedded log: topics, partitions, segments, what groups have read.

topics/<topic>/topic.json         how many partitions, how long and how much of them is kept
topics/<topic>/<partition>/<first offset>.log
topics/<topic>/<partition>/head   see `head`
groups/<group>/<topic>.<partition>
bells/                            see `doorbell`
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import msgspec

from state.files import write_once, write_whole
from state.records import LogError, TopicPartition, TopicSpec

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
SUFFIX = ".log"


class Described(msgspec.Struct, frozen=True):
    """What is written down of a topic.  `retention_bytes` per partition; 0 for no limit."""

    partitions: int
    retention_days: int
    retention_bytes: int = 0


def topic_folder(root: Path, topic: str) -> Path:
    if not _NAME.fullmatch(topic):
        raise LogError(
            f"topic {topic!r}: a topic's name has letters, digits, dots, dashes and underscores only, at most 200, and "
            "begins with a letter or digit. Rename it."
        )
    return root / "topics" / topic


def partition_folder(root: Path, tp: TopicPartition) -> Path:
    return topic_folder(root, tp.topic) / str(tp.partition)


def segments(folder: Path) -> list[int]:
    """The first offsets of a partition's segments, in order."""
    try:
        names = [each.name for each in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(int(name[: -len(SUFFIX)]) for name in names if name.endswith(SUFFIX))


def segment(folder: Path, first: int) -> Path:
    return folder / f"{first:020}{SUFFIX}"


def describe(root: Path, spec: TopicSpec) -> Described:
    """Write a topic down where it is not, or how long it is kept from now on; its partitions stay as they are."""
    path = topic_folder(root, spec.name) / "topic.json"
    wanted = Described(spec.partitions, spec.retention_days, spec.retention_bytes)
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_once(path, msgspec.json.encode(wanted).decode())  # of two processes, the first says how many
    there = described(path)
    wanted = msgspec.structs.replace(wanted, partitions=there.partitions)
    if there != wanted:
        write_whole(path, msgspec.json.encode(wanted).decode())
    return wanted


def described(path: Path) -> Described:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Described)
    except msgspec.MsgspecError as error:
        raise LogError(f"{path}: not what was written there ({error}). Put the file back from a backup.") from None


def partitions(root: Path, topic: str) -> int:
    """How many partitions a topic has; 0 where there is none of this name."""
    try:
        return described(topic_folder(root, topic) / "topic.json").partitions
    except FileNotFoundError:
        return 0


def commit_file(root: Path, group: str, tp: TopicPartition) -> Path:
    """Where a group's progress stands.  Whatever a group is called, its name stays inside the folder."""
    return root / "groups" / f"g-{quote(group, safe='')}" / f"{tp.topic}.{tp.partition}"
