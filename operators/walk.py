"""Going through the steps of a flow: what follows each wait, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from operators.bandits.learning import CONDITIONS_MAX
from operators.experiments import check_name
from operators.faults import FlowError, expect
from operators.steps import A_STEP, IN_TIME, Choose, Experiment, Leave, Send, Split, Step, Wait, named

Steps = tuple[Step[Any], ...]


def check_steps(name: str, steps: Steps) -> dict[str, tuple[Wait[Any], Steps]]:
    """What follows each wait.  Raises `FlowError` for steps that could never run as written."""
    after: dict[str, tuple[Wait[Any], Steps]] = {}
    for path, wait, rest in walk(f"{name}.steps", steps):
        if wait.name in after:
            raise FlowError(
                f'{path}: wait "{wait.name}" is already used in this flow. '
                "Customers are parked by the name of their wait, so each needs its own."
            )
        if not wait.name:
            raise FlowError(f"{path}: a wait needs a name. Customers are parked by it.")
        expect(f'{path}: how long wait "{wait.name}" lasts', wait.at_most, timedelta, IN_TIME)
        if wait.at_most <= timedelta(0):
            limit = " Write at_most=days(…)." if wait.moment is not None else ""
            raise FlowError(f'{path}: wait "{wait.name}" must last longer than nothing, got {wait.at_most}.{limit}')
        if not rest and not wait.or_else:
            raise FlowError(f'{path}: nothing follows wait "{wait.name}". Add a step after it, or remove it.')
        after[wait.name] = wait, rest
    return after


def walk(path: str, steps: Steps, tail: Steps = ()) -> Iterator[tuple[str, Wait[Any], Steps]]:
    """Every wait in `steps`, with where it is and the steps that follow it."""
    for i, step in enumerate(steps):
        here, rest = f"{path}[{i}]", steps[i + 1 :] + tail
        expect(here, step, Step, A_STEP)
        match step:
            case Wait():
                yield here, step, rest
                yield from walk(f"{here}.or_else", step.or_else, rest)
            case Split():
                for n, (_, branch) in enumerate(step.cases):
                    yield from walk(f"{here}.when[{n}]", branch, rest)
                yield from walk(f"{here}.otherwise", step.otherwise, rest)
            case Experiment():
                _check_arms(here, step)
                for each in step.arms:
                    yield from walk(f"{here}.{each.name}", each.steps, rest)
            case Leave() if i + 1 < len(steps):
                raise FlowError(f"{path}[{i + 1}]: no customer gets past the leave before it. Remove one of the two.")
            case _:
                pass


def every(steps: Iterable[Step[Any]]) -> Iterator[Step[Any]]:
    """Each step, also those inside others, in the order they are written."""
    for step in steps:
        yield step
        match step:
            case Wait():
                yield from every(step.or_else)
            case Split():
                for _, branch in step.cases:
                    yield from every(branch)
                yield from every(step.otherwise)
            case Experiment():
                for arm in step.arms:
                    yield from every(arm.steps)
            case _:
                pass


def _check_arms(path: str, step: Experiment[Any]) -> None:
    check_name(path, step.name)
    shares = [each.percent for each in step.arms]
    if not abs(sum(shares) - 100) <= 1e-9 or min(shares, default=0) < 0:
        raise FlowError(
            f'{path}: the shares of experiment "{step.name}" are {", ".join(f"{s:g}" for s in shares)} percent, '
            f"which adds up to {sum(shares):g}. They must add up to 100."
        )
    names = [each.name for each in step.arms]
    if len(set(names)) != len(names):
        raise FlowError(f'{path}: two arms of experiment "{step.name}" share a name. Customers are counted by it.')
    if isinstance(step, Choose):
        _check_choice(path, step)


def _check_choice(path: str, step: Choose[Any]) -> None:
    for arm in step.arms:
        if not any(isinstance(each, Send) for each in every(arm.steps)):
            raise FlowError(
                f'{path}: arm "{arm.name}" of choice "{step.name}" sends nothing, so nobody can tell what it brings. '
                "Give it a message, or write an experiment(…), where such an arm is compared by what customers buy."
            )
    conditions = [named(each, f"{path}.by") for each in step.by]
    if len(set(conditions)) < len(conditions) or len(conditions) > CONDITIONS_MAX:
        raise FlowError(
            f'{path}: choice "{step.name}" goes by {", ".join(conditions)}. Name each condition once, and at most '
            f"{CONDITIONS_MAX}: each set of them has shares of its own."
        )
