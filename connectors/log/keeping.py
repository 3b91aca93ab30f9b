"""Making topics, and deleting what has been kept long enough."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from connectors.log.appender import Appender
from connectors.log.folders import describe, described, partition_folder, segment, segments
from state.files import sync_folder
from state.records import TopicPartition, TopicSpec

DAY_SECONDS = 86_400
_ALL_READ: Mapping[TopicPartition, int] = {}


def create_topics(root: Path, specs: Iterable[TopicSpec]) -> None:
    """Make the topics that are not there yet, and cut the torn tails of those that are.

    How long a topic is kept follows its spec; how many partitions it has is settled when it is made.
    Raises `LogError` where a partition is damaged.
    """
    for folder in (root, root / "topics", root / "groups", root / "bells"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    for spec in specs:
        for partition in range(describe(root, spec).partitions):
            tp = TopicPartition(spec.name, partition)
            folder = partition_folder(root, tp)
            if not folder.is_dir():
                folder.mkdir(mode=0o700, exist_ok=True)
                sync_folder(folder.parent)
            with closing(Appender(root, tp, fsync=False)) as appender:
                appender.settle()
    sync_folder(root / "topics")
    sync_folder(root)


def apply_retention(root: Path, now: float, unread: Mapping[TopicPartition, int] = _ALL_READ) -> int:
    """Delete segments that are too old, or too much; how many went.  `now` in seconds.

    A segment is as old as its youngest record.  The last one goes too when all of it is old; against too much it
    stays, so a partition may exceed its limit by one segment.  What is `unread` from an offset on may be as old as it
    likes, and goes only where it is too much.
    """
    gone = 0
    for path in sorted(root.glob("topics/*/topic.json")):
        topic = described(path)
        keep_from = now - topic.retention_days * DAY_SECONDS
        for partition in range(topic.partitions):
            tp = TopicPartition(path.parent.name, partition)
            gone += _retain(root, tp, keep_from, topic.retention_bytes, unread.get(tp))
    return gone


def _retain(root: Path, tp: TopicPartition, keep_from: float, bytes_max: int, unread: int | None) -> int:
    folder = partition_folder(root, tp)
    there = segments(folder)
    if not there:
        return 0
    if segment(folder, there[-1]).stat().st_mtime < keep_from:
        with closing(Appender(root, tp, fsync=False)) as appender:
            appender.roll(keep_from)
    firsts = segments(folder)
    *closed, last = [(path, path.stat()) for path in (segment(folder, first) for first in firsts)]
    kept = sum(stat.st_size for _, stat in closed) + last[1].st_size
    gone = 0
    for (path, stat), end in zip(closed, firsts[1:], strict=True):
        is_over = stat.st_mtime < keep_from and (unread is None or end <= unread)
        if not is_over and not 0 < bytes_max < kept:
            break
        path.unlink()
        kept -= stat.st_size
        gone += 1
    return gone
