"""What every long-running process of ours does alike: JSON logs, signals, a heartbeat, an end with its parent."""

from __future__ import annotations

import ctypes
import gc
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from prometheus_client import REGISTRY, generate_latest

from config.load import load
from config.settings import Settings
from flows.json_log import log_json
from operators.effects import told

log = logging.getLogger("impuls.process")

_PR_SET_PDEATHSIG = 1


def prepare(name: str, on_stop: Callable[[], object] | None = None) -> None:
    """Set a process up: logs to standard error, `on_stop` at SIGTERM and SIGINT, one line about what ends it."""
    log_json(name)
    sys.excepthook = _tell_the_end
    threading.excepthook = _end_with_a_thread
    sys.setswitchinterval(0.0005)  # threads that wait must not wait for a busy dataflow
    spare_the_collector()
    if on_stop is not None:
        stop = on_stop
        signal.signal(signal.SIGTERM, lambda *_: stop())
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor tells us


def _tell_the_end(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    log.critical("ended by an error", extra={"kind": kind.__name__, "error": fact_of(error)})


def fact_of(error: BaseException) -> str:
    """What a known error says; of any other the places, since its text may hold what it stumbled over."""
    from flows.cli.endings import code_of

    return told(error) if isinstance(error, Exception) and code_of(error) is None else str(error)


def _end_with_a_thread(failed: threading.ExceptHookArgs) -> None:
    """Without one of its threads a process is half alive, and nobody would know: it ends, and is started again."""
    if failed.exc_value is None or failed.exc_type is SystemExit:
        return
    _tell_the_end(failed.exc_type, failed.exc_value, failed.exc_traceback)
    os._exit(1)


def spare_the_collector(bite: int = 5_000) -> None:
    """Let Python look for cycles in bites of so many objects, and rarely in what has lived for long.

    Customers and events hold none, so that nearly all is freed at once when it is let go.  To walk through 50,000
    objects takes 15 milliseconds, in which no event is decided about, and through all cached customers far more.  A
    worker, where as many objects go as come, also looks by what it read (`operators.garbage`).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(bite, 1_000, 1_000)


def settings_for(config: str | None) -> Settings:
    return load(Path(config) if config else None, os.environ)


METRICS_BEATS = 5


class Beat:
    """A process's word about itself, in a file that others read: its state and its metrics."""

    def __init__(self, data_dir: Path, name: str) -> None:
        self._folder = data_dir / "run"
        self._name = name
        self._is_mute = False

    def tell(self, status: dict[str, Any], *, metrics: bool = True) -> None:
        """`metrics` cost some milliseconds to write, and nobody asks for them every second.

        What a full disk does not take is told with the next beat: a process must outlive that.
        """
        word = {"at": time.time(), "pid": os.getpid(), **status}
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._put(f"{self._name}.json", json.dumps(word).encode())
            if metrics:
                self._put(f"{self._name}.prom", generate_latest(REGISTRY))
        except OSError as error:
            if not self._is_mute:
                log.warning("cannot tell how it is", extra={"fact": str(error)})
            self._is_mute = True
        else:
            self._is_mute = False

    def read(self) -> dict[str, Any] | None:
        try:
            status: dict[str, Any] = json.loads((self._folder / f"{self._name}.json").read_bytes())
        except (OSError, ValueError):
            return None
        return status

    def _put(self, name: str, content: bytes) -> None:
        fresh = self._folder / f".{name}.{os.getpid()}"
        fresh.write_bytes(content)
        fresh.rename(self._folder / name)


class WallClock:
    """Notices when somebody sets the wall clock back, by the clock that nobody can set."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._ahead = wall() - monotonic()

    def set_back_by(self) -> float:
        """Seconds it was set back since this was asked last."""
        before, self._ahead = self._ahead, self._wall() - self._monotonic()
        return max(0.0, before - self._ahead)


def told_by_supervisor() -> dict[str, Any]:
    """What the supervisor gave a process of its own to know: `{"config": …, "supervisor": its pid, …}`.

    From here on the process dies with it (Linux only), so that nobody is left behind who would hold the stores.
    """
    given: dict[str, Any] = json.loads(sys.argv[1])
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != given["supervisor"]:
            raise SystemExit("the supervisor that started this process is gone")
    return given
