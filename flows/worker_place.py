"""Where workers stand: what the supervisor tells each of them at its start, and how far all of them have come.

Apart from the worker itself, so that whoever starts one need not load Bytewax.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from flows.worker_process import Beat
from state.records import TopicPartition

LOOK_SECONDS = 0.01
OPENERS = 8  # shards that are opened side by side: it is to wait for the disk more than to work


class Place(msgspec.Struct, frozen=True):
    """Where a worker stands in its cluster, and where its sources start."""

    process: int
    processes: int
    addresses: list[str]
    starts: list[tuple[str, int, int, int]]  # topic, partition, lowest watermark, reached
    origins: list[tuple[str, int, int]]  # topic, partition, where the first start began


def place_file(data_dir: Path, process: int) -> Path:
    return data_dir / "run" / f"place-{process}.json"


def await_place(file: Path) -> Place:
    """A worker is started before its place is known, since it takes as long to load as to look for the place."""
    while not file.exists():
        time.sleep(LOOK_SECONDS)
    return msgspec.json.decode(file.read_bytes(), type=Place)


def free_addresses(count: int) -> list[str]:
    """Addresses on loopback for a cluster on this machine."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]


def lowest_told(data_dir: Path, processes: int) -> dict[TopicPartition, int]:
    """The lowest watermark that all workers have told of; empty until all have."""
    lowest: dict[TopicPartition, int] = {}
    told: list[Mapping[str, Any]] = []
    for process in range(processes):
        status = Beat(data_dir, f"worker-{process}").read()
        if status is None:
            return {}
        told.append(status)
    for each in told:
        for name, offset in each["watermarks"].items():
            topic, partition = name.rsplit("/", 1)
            tp = TopicPartition(topic, int(partition))
            lowest[tp] = min(offset, lowest.get(tp, offset))
    return lowest
