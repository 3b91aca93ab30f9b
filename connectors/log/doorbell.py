"""Waking readers in other processes: a datagram to each, the moment something was appended.

A bell that is not heard costs nothing but time: readers look by themselves ten times a second.
"""

from __future__ import annotations

import itertools
import os
import select
import socket
import time
from pathlib import Path

from state.records import TopicPartition

_REFRESH_SECONDS = 0.25
_DATAGRAMS_MAX = 64
_numbers = itertools.count()


class Bell:
    """A reader's own socket in the folder of bells."""

    def __init__(self, root: Path) -> None:
        folder = root / "bells"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / f"{os.getpid()}-{next(_numbers)}"
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        with _Folder(folder) as short:
            self._socket.bind(f"{short}/{self._path.name}")
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def fileno(self) -> int:
        return self._socket.fileno()

    def wait(self, seconds: float) -> None:
        self._poll.poll(max(0.0, seconds) * 1000)

    def rung(self) -> set[bytes] | None:
        """Which partitions it rang for since the last call; None when it rang too often to tell."""
        names: set[bytes] = set()
        try:
            for _ in range(_DATAGRAMS_MAX):
                names.update(self._socket.recv(4096).split(b"\n"))
        except BlockingIOError:
            return names if len(names) < 8 else None
        return None

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        self._socket.close()


class Ringer:
    """A writer's way to ring all bells."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "bells"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._bells: list[str] = []
        self._refresh_at = 0.0

    def ring(self, partitions: list[TopicPartition]) -> None:
        now = time.monotonic()
        if now >= self._refresh_at:
            self._refresh_at = now + _REFRESH_SECONDS
            self._bells = [bell.name for bell in self._folder.iterdir()]
        message = b"\n".join(name(tp) for tp in partitions)[:4096]
        for bell in self._bells:
            try:
                self._socket.sendto(message, f"/proc/self/fd/{self._descriptor}/{bell}")
            except BlockingIOError:
                pass  # its reader has much to hear already
            except OSError:
                self._stale(bell)

    def close(self) -> None:
        self._socket.close()
        os.close(self._descriptor)

    def _stale(self, bell: str) -> None:
        """Nobody listens: its process was killed."""
        self._refresh_at = 0.0
        pid = bell.partition("-")[0]
        if not Path(f"/proc/{pid}").exists():
            (self._folder / bell).unlink(missing_ok=True)


def name(tp: TopicPartition) -> bytes:
    return f"{tp.topic}/{tp.partition}".encode()


class _Folder:
    """A short name for a folder: addresses of Unix sockets have room for a hundred characters only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> str:
        self._descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        return f"/proc/self/fd/{self._descriptor}"

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
