"""Which windows a flow's own functions read: one that nobody keeps would read as empty, and nobody would be told.

Found by the names that their code mentions.  What a function reads in a way that this cannot see is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from operators.flow import Flow
from operators.steps import Choose, Send, Split, Step, Wait
from operators.walk import every
from operators.window import Window

Function = Callable[..., object]


def unkept(flow: Flow[Any], windows: Iterable[Window]) -> Iterator[tuple[str, Window]]:
    """The functions of a flow that read a window which is not among these, by name, and which."""
    kept = {window.name for window in windows}
    for function in dict.fromkeys(_functions(flow)):
        for window in reads(function):
            if window.name not in kept:
                yield getattr(function, "__name__", str(function)), window


def reads(function: Function) -> list[Window]:
    """The windows that a function names, or that one which it calls does."""
    found: dict[str, Window] = {}
    seen: set[int] = set()
    ahead: list[object] = [function]
    while ahead:
        value = ahead.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Window):
            found[value.name] = value
        elif isinstance(value, FunctionType):
            names = set(_names(value.__code__))
            named = [value.__globals__[name] for name in names if name in value.__globals__]
            ahead += named
            for module in (each for each in named if isinstance(each, ModuleType)):
                ahead += (each for name in names if isinstance(each := vars(module).get(name), Window | FunctionType))
    return list(found.values())


def _names(code: CodeType) -> Iterator[str]:
    """Those of comprehensions and functions inside too."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _functions(flow: Flow[Any]) -> Iterator[Function]:
    for trigger in (flow.enter, *flow.leave):
        if trigger.where is not None:
            yield trigger.where
    for step in every(flow.steps):
        yield from _of_step(step)


def _of_step(step: Step[Any]) -> Iterator[Function]:
    match step:
        case Split():
            yield from (condition for condition, _ in step.cases)
        case Choose():
            yield from step.by
        case Wait():
            if step.until is not None and step.until.where is not None:
                yield step.until.where
            if step.moment is not None:
                yield step.moment
        case Send():
            for template in (step.template, *step.otherwise):
                yield template.content
                if callable(template.to):
                    yield template.to
        case _:
            pass
