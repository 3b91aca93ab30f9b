"""Waking readers in other processes: a datagram to each who reads the topic, the moment something was appended.

A bell's name says of which topics its reader wants to hear.  A bell that is not heard costs nothing but time: readers
look by themselves ten times a second.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from secrets import token_hex
from zlib import crc32

from state.records import TopicPartition

_REFRESH_SECONDS = 0.25
_DATAGRAMS_MAX = 64
_NAMES_MAX = 8
_MESSAGE_BYTES_MAX = 4096
_TOKEN = 16  # hex digits
_TOPICS_MAX = 10  # an address has no room for more


class Bell:
    """A reader's own socket in the folder of bells."""

    def __init__(self, root: Path) -> None:
        self._folder = _Folder(root)
        # Not the process id: processes in containers of their own may share this folder, and their ids.
        self._name = token_hex(_TOKEN // 2)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(self._folder.address(self._name))
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def listen_to(self, topics: Iterable[str]) -> None:
        """From now on only to what is appended to these."""
        marks = sorted({_mark(topic) for topic in topics})
        wanted = f"{self._name[:_TOKEN]}-{''.join(marks)}" if len(marks) <= _TOPICS_MAX else self._name[:_TOKEN]
        if wanted != self._name:
            (self._folder.path / self._name).rename(self._folder.path / wanted)
            self._name = wanted

    def fileno(self) -> int:
        return self._socket.fileno()

    def wait(self, seconds: float) -> None:
        self._poll.poll(max(0.0, seconds) * 1000)

    def rung(self) -> set[bytes] | None:
        """Which partitions it rang for since the last call; None when it rang too often to tell."""
        names: set[bytes] = set()
        try:
            for _ in range(_DATAGRAMS_MAX):
                names.update(self._socket.recv(_MESSAGE_BYTES_MAX).split(b"\n"))
        except BlockingIOError:
            return names if len(names) < _NAMES_MAX else None
        return None

    def close(self) -> None:
        (self._folder.path / self._name).unlink(missing_ok=True)
        self._socket.close()
        self._folder.close()


class Ringer:
    """A writer's way to ring all bells."""

    def __init__(self, root: Path) -> None:
        self._folder = _Folder(root)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._bells: list[tuple[str, frozenset[str] | None]] = []  # and what each listens to, None: to all
        self._changed_at = -1
        self._refresh_at = 0.0

    def ring(self, partitions: list[TopicPartition]) -> None:
        message = b"\n".join(name(tp) for tp in partitions)
        if len(message) > _MESSAGE_BYTES_MAX:
            message = b""  # names no partition, and so has no reader wait
        marks = {_mark(tp.topic) for tp in partitions}
        for bell, heard in self._all():
            if heard is not None and marks.isdisjoint(heard):
                continue
            try:
                self._socket.sendto(message, self._folder.address(bell))
            except ConnectionRefusedError:
                # Nobody listens: its process was killed.  A bell that somebody holds is never refused.
                (self._folder.path / bell).unlink(missing_ok=True)
            except OSError:
                pass  # its reader has much to hear already, or is gone

    def close(self) -> None:
        self._socket.close()
        self._folder.close()

    def _all(self) -> list[tuple[str, frozenset[str] | None]]:
        """The bells there are.  A folder's time ticks coarsely, so it is looked into now and then all the same."""
        now, changed_at = time.monotonic(), self._folder.changed_at()
        if changed_at != self._changed_at or now >= self._refresh_at:
            self._changed_at, self._refresh_at = changed_at, now + _REFRESH_SECONDS
            self._bells = [(bell.name, _heard(bell.name)) for bell in self._folder.path.iterdir()]
        return self._bells


@cache
def _mark(topic: str) -> str:
    """Four hex digits; who shares them with another topic is rung for both."""
    return f"{crc32(topic.encode()) & 0xFFFF:04x}"


def _heard(bell: str) -> frozenset[str] | None:
    _, told, marks = bell.partition("-")
    return frozenset(marks[at : at + 4] for at in range(0, len(marks), 4)) if told else None


def name(tp: TopicPartition) -> bytes:
    return f"{tp.topic}/{tp.partition}".encode()


class _Folder:
    """The folder of bells, under a short name: addresses of Unix sockets have room for a hundred characters only."""

    def __init__(self, root: Path) -> None:
        self.path = root / "bells"
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)

    def address(self, bell: str) -> str:
        return f"/proc/self/fd/{self._descriptor}/{bell}" if sys.platform == "linux" else str(self.path / bell)

    def changed_at(self) -> int:
        return os.fstat(self._descriptor).st_mtime_ns

    def close(self) -> None:
        os.close(self._descriptor)
