"""A flow for people: in words, and as a Mermaid diagram."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import count
from typing import Any

from operators.flow import Flow
from operators.steps import Choose, Experiment, Leave, Send, Split, Step, Template, Trigger, Wait, named
from state.events import Event


def told(flow: Flow[Any], version: str = "") -> str:
    """A flow in words, one line a step."""
    head = f"{flow.name} ({version})" if version else flow.name
    notes = [
        f"on trial beside the present version: {flow.trial}" if flow.trial else "",
        f"per {flow.per.__name__}" if flow.per is not Event else "",
        "each entering event starts it again" if flow.restart else "",
        f"priority {flow.priority}" if flow.priority else "",
        "closed: nobody enters" if flow.closed else "",
        f"cap: {flow.cap.count} per {_span(timedelta(milliseconds=flow.cap.period))}" if flow.cap else "",
        f"holdout: {flow.holdout_percent:g} % get no marketing from it" if flow.holdout_percent else "",
        f"group {flow.group.name}: one of its flows at a time" if flow.group else "",
    ]
    lines = [head, f"  enter: {_trigger(flow.enter)}"]
    lines += [f"  leave: {_trigger(trigger)}" for trigger in flow.leave]
    lines += [f"  {note}" for note in notes if note]
    return "\n".join([*lines, *_words(flow.steps, "  ")])


def mermaid(flow: Flow[Any]) -> str:
    """A flow as a Mermaid flowchart."""
    numbers = count()
    lines = ["flowchart TD", f'  enter(["{_trigger(flow.enter)}"])']
    _draw(flow.steps, ["enter"], "", lines, numbers)
    lines += [f'  left{n}(["leaves: {_trigger(trigger)}"])' for n, trigger in enumerate(flow.leave)]
    return "\n".join(lines)


def _draw(
    steps: Sequence[Step[Any]], ends: list[str], label: str, lines: list[str], numbers: Iterator[int]
) -> list[str]:
    """Draw steps after these ends; the ends they leave."""
    for step in steps:
        if not ends:
            break
        name = f"n{next(numbers)}"
        lines += [f"  {end} -->{f'|{label}|' if label else ''} {name}" for end in ends]
        label = ""
        match step:
            case Send(template, others):
                sent = ", else ".join(f"{each.channel}: {each.name}" for each in (template, *others))
                lines.append(f'  {name}["{sent}"]')
                ends = [name]
            case Wait():
                lines.append(f'  {name}[/"{step.name}: {_wait(step)}"/]')
                late = _draw(step.or_else, [name], "not come", lines, numbers) if step.or_else else []
                ends = [name, *late]
            case Split(cases, otherwise):
                lines.append(f'  {name}{{"?"}}')
                ends = []
                for condition, branch in cases:
                    ends += _draw(branch, [name], named(condition, name), lines, numbers)
                ends += _draw(otherwise, [name], "otherwise", lines, numbers) if otherwise else [name]
            case Experiment():
                lines.append(f'  {name}{{"{_kind(step)} {step.name}"}}')
                ends = []
                for arm in step.arms:
                    ends += _draw(arm.steps, [name], f"{arm.name} {arm.percent:g} %", lines, numbers)
            case Leave():
                lines.append(f'  {name}(["leave"])')
                ends = []
            case _:
                raise AssertionError(f"unknown step {step!r}")
    return ends


def _words(steps: Sequence[Step[Any]], indent: str) -> Iterator[str]:
    for step in steps:
        match step:
            case Send(template, others):
                yield f"{indent}send {_message(template)}"
                yield from (f"{indent}  otherwise {_message(each)}" for each in others)
            case Wait():
                yield f"{indent}wait {step.name}: {_wait(step)}"
                if step.or_else:
                    yield f"{indent}  when it has not come:"
                    yield from _words(step.or_else, indent + "    ")
            case Split(cases, otherwise):
                for condition, branch in cases:
                    yield f"{indent}when {named(condition, 'when')}:"
                    yield from _words(branch, indent + "  ")
                if otherwise:
                    yield f"{indent}otherwise:"
                    yield from _words(otherwise, indent + "  ")
            case Experiment():
                for arm in step.arms:
                    yield f"{indent}{_kind(step)} {step.name}, {arm.percent:g} % {arm.name}:"
                    yield from _words(arm.steps, indent + "  ")
            case _:
                yield f"{indent}leave"


def _kind(step: Experiment[Any]) -> str:
    return f"choice by {step.learns.reward}s" if isinstance(step, Choose) else "experiment"


def _message(template: Template[Any]) -> str:
    return f"{template.name} ({template.channel}, {template.kind}, within {_span(template.within)})"


def _trigger(trigger: Trigger[Any]) -> str:
    where = f" where {named(trigger.where, 'where')}" if trigger.where is not None else ""
    return f"{trigger.event.__name__}{where}"


def _wait(wait: Wait[Any]) -> str:
    if wait.local is not None:
        day = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
        weekday = f"{day[wait.local.weekday]} " if wait.local.weekday is not None else ""
        return f"until {weekday}{wait.local.hour:02}:{wait.local.minute:02}"
    if wait.spread:
        return f"spread over {_span(wait.at_most)}"
    if wait.moment is not None:
        return f"until {named(wait.moment, wait.name)}, at most {_span(wait.at_most)}"
    if wait.until is not None:
        return f"for {_trigger(wait.until)}, at most {_span(wait.at_most)}"
    return _span(wait.at_most)


def _span(span: timedelta) -> str:
    seconds = span.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
