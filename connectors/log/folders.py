"""Where things lie in an embedded log: topics, partitions, segments.

topics/<topic>/topic.json         how many partitions, how long it is kept
topics/<topic>/<partition>/<first offset>.log
groups/<group>/<topic>.<partition>
bells/                            see `doorbell`
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

from state.records import LogError, TopicPartition, TopicSpec

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")
SUFFIX = ".log"


def topic_folder(root: Path, topic: str) -> Path:
    if not _NAME.fullmatch(topic):
        raise LogError(f"topic {topic!r}: a topic's name has small letters, digits, dots, dashes and underscores only.")
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


def create_topics(root: Path, specs: Iterable[TopicSpec]) -> None:
    """Make the topics that are not there yet."""
    for spec in specs:
        folder = topic_folder(root, spec.name)
        if (folder / "topic.json").exists():
            continue
        for partition in range(spec.partitions):
            (folder / str(partition)).mkdir(mode=0o700, parents=True, exist_ok=True)
        put(folder / "topic.json", json.dumps({"partitions": spec.partitions, "retention_days": spec.retention_days}))
    for each in (root, root / "topics"):
        if each.is_dir():
            each.chmod(0o700)


def partitions(root: Path, topic: str) -> int:
    """How many partitions a topic has; 0 where there is none of this name."""
    try:
        described = json.loads((topic_folder(root, topic) / "topic.json").read_text())
    except FileNotFoundError:
        return 0
    return int(described["partitions"])


def put(path: Path, text: str) -> None:
    """Replace a small file as a whole."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text)
    fresh.rename(path)


def apply_retention(root: Path, now: float) -> int:
    """Delete segments whose youngest record is older than its topic is kept; how many went.  `now` in seconds."""
    gone = 0
    for described in root.glob("topics/*/topic.json"):
        keep_from = now - json.loads(described.read_text())["retention_days"] * 86_400
        for folder in (each for each in described.parent.iterdir() if each.is_dir()):
            for first in segments(folder)[:-1]:
                path = segment(folder, first)
                if path.stat().st_mtime >= keep_from:
                    break
                path.unlink()
                gone += 1
    return gone
