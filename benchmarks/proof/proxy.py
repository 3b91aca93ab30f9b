"""A TCP proxy on loopback that makes a network worse: slower, narrower, silent, cut, or not there."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress

_CHUNK = 16 << 10
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


class Proxy:
    """Forwards a port of its own to another one.  Its attributes may be set at any time, `well` sets them back."""

    def __init__(self, port: int, to_port: int) -> None:
        self.port, self._to_port = port, to_port
        self.latency_seconds = 0.0
        self.bytes_per_second: float | None = None
        self.silent = False
        self.refuses = False
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._is_closed = False
        self._listening = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def well(self) -> None:
        self.latency_seconds, self.bytes_per_second = 0.0, None
        self.silent = self.refuses = False

    def cut(self) -> int:
        """Reset every connection at once; how many there were."""
        with self._lock:
            there, self._open = self._open, set()
        for each in there:
            with suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        return len(there) // 2

    def close(self) -> None:
        self._is_closed = True
        self._listening.close()
        self.cut()

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                near, _ = self._listening.accept()
            except OSError:
                time.sleep(0.02)  # it was gone before it was taken; or this is the end
                continue
            try:
                self._take(near)
            except OSError:
                near.close()  # gone, or cut, while it was being taken

    def _take(self, near: socket.socket) -> None:
        if self.refuses:
            near.close()
            return
        far = socket.create_connection(("127.0.0.1", self._to_port), 5)
        far.settimeout(None)
        for each in (near, far):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open |= {near, far}
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=self._forward, args=(one, other), name="proxy", daemon=True).start()

    def _forward(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while raw := one.recv(_CHUNK):
                while self.silent:
                    time.sleep(0.02)
                if self.latency_seconds:
                    time.sleep(self.latency_seconds)
                if self.bytes_per_second:
                    time.sleep(len(raw) / self.bytes_per_second)
                other.sendall(raw)
        except OSError:
            pass
        with self._lock:
            self._open -= {one, other}
        for each in (one, other):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
