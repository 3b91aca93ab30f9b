"""How a benchmark is stopped from outside: everything that it started goes with it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGHUP)
_starts: list[list[int]] = []  # of each start that is under way, what was said meanwhile


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

    Whoever started it ends it; by itself it would end with a traceback in the middle of the others' ends.  And nobody
    is torn off in the middle of a start: the child would say that its parent had not told it what to do.
    """
    before, said = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}), list[int]()
    _starts.append(said)
    try:
        yield
    finally:
        _starts.pop()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if said:
            _unwind(said[0], None)


def _unwind(number: int, frame: FrameType | None) -> None:
    if _starts:
        _starts[-1].append(number)
        return
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)  # once is enough: what has begun to end must not be torn off
    raise SystemExit(128 + number)
