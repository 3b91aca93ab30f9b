"""How a benchmark is stopped from outside: everything that it started goes with it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def end_in_order() -> None:
    """Let SIGTERM and SIGHUP unwind this process as Ctrl-C does.

    Or the Impuls, the mail server and the folder that it made would outlive it, and load the machine that measures
    next.  What is ignored (nohup) stays ignored.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _unwind)


@contextmanager
def spared() -> Iterator[None]:
    """What is started meanwhile never hears of Ctrl-C, which a terminal tells all of its processes.

    Whoever started it ends it; by itself it would end with a traceback in the middle of the others' ends.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _unwind(number: int, frame: FrameType | None) -> None:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)  # once is enough: what has begun to end must not be torn off
    raise SystemExit(128 + number)
