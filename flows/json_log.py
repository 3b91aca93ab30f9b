"""The log of a long-running process: one JSON object per line, on standard error."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

LIBRARY_SECONDS = 30.0
_OURS = "impuls"
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def log_json(process: str, level: int = logging.INFO) -> None:
    """Log so from now on; what is in `extra` becomes a field."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json(process))
    handler.addFilter(Sparing())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(_OURS).setLevel(level)


class Sparing(logging.Filter):
    """Of what libraries say, one warning of each logger in half a minute, with how many more there were (`repeated`).

    A client that does not reach its server says so a hundred times a second, in which what we say of it would drown.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._silent_to: dict[str, float] = {}
        self._repeated: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        name = record.name
        if name.partition(".")[0] == _OURS or record.levelno >= logging.CRITICAL:
            return True
        if record.levelno < logging.WARNING:
            return False
        now = self._monotonic()
        if now < self._silent_to.get(name, now):
            self._repeated[name] = self._repeated.get(name, 0) + 1
            return False
        self._silent_to[name] = now + LIBRARY_SECONDS
        if repeated := self._repeated.pop(name, 0):
            record.repeated = repeated
        return True


class _Json(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "process": self._process,
            "pid": record.process,
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
