"""Running a part of a measurement in a process of its own, so that nothing else is in its memory or its CPU time."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def in_child(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the function returns, called in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


def side_by_side(function: Callable[[int], T], numbers: Sequence[int]) -> list[T]:
    """The same for each of these numbers, in as many fresh processes."""
    with ProcessPoolExecutor(len(numbers), mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(function, numbers))
