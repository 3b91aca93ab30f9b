"""The mail server that takes the mails of a measurement: Postfix's `smtp-sink`, else the demo's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from types import TracebackType
from typing import Self

from flows.demo_mail import Inbox

START_SECONDS_MAX = 10.0
_PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))


class Sink:
    """A mail server on loopback, in a process of its own.  `what` says which; it can be shut and opened again."""

    def __init__(self) -> None:
        self._program = shutil.which("smtp-sink", path=_PLACES)
        self._process: subprocess.Popen[bytes] | None = None
        self._inbox: Inbox | None = None
        self.port = free_port()
        self.what = "Postfix's smtp-sink"
        if self._program is None:
            self.what = "the built-in one (aiosmtpd); Postfix's smtp-sink is not installed"

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.shut()

    @property
    def is_open(self) -> bool:
        return self._process is not None or self._inbox is not None

    def open(self) -> None:
        """Take mails; returns when it does."""
        if self._program is None:
            self._inbox = Inbox(self.port)
            return
        user = ["-u", "nobody"] if os.geteuid() == 0 else []  # it refuses to run as root
        self._process = subprocess.Popen([self._program, *user, f"127.0.0.1:{self.port}", "256"])
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                if time.monotonic() > deadline:
                    self.shut()
                    raise
                time.sleep(0.05)
            else:
                return

    def shut(self) -> None:
        """Take no more, and cut all connections."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
        if self._inbox is not None:
            self._inbox.close()
        self._process = self._inbox = None


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
