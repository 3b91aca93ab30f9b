"""Running a part of a measurement in a process of its own, so that nothing else is in its memory or its CPU time."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from benchmarks.ending import spared

P = ParamSpec("P")
T = TypeVar("T")


def in_child(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the function returns, called in a fresh process."""
    with _children(1) as pool:
        with spared():
            called = pool.submit(function, *args, **kwargs)
        return called.result()


def side_by_side(function: Callable[[int], T], numbers: Sequence[int]) -> list[T]:
    """The same for each of these numbers, in as many fresh processes."""
    with _children(len(numbers)) as pool:
        with spared():
            called = pool.map(function, numbers)
        return list(called)


@contextmanager
def _children(count: int) -> Iterator[ProcessPoolExecutor]:
    """Fresh processes; who is stopped while they work does not wait until they are done."""
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            yield pool
        except BaseException:
            for child in set(multiprocessing.active_children()) - others:
                child.terminate()
            raise
