"""Moving one customer through one flow.

Pure functions of (flow, where the customer is, what happened, when).  No I/O and no clock: time
arrives as an argument, so a year of a flow can be tested in a millisecond.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple

from operators.flow import Experiment, Flow, Leave, Send, Split, Step, Template, Wait
from state.customer import Customer
from state.events import Event
from state.ids import Ids

ENTER = "enter"
_MS = 1000


class Intent(NamedTuple):
    """A message a flow wants to send; the guards have the last word."""

    template: Template[Any]
    step: str
    wait: str
    experiment: str = ""
    arm: str = ""
    propensity: float | None = None


class Moved(NamedTuple):
    """Where a customer rests now (an empty wait: she is through), and what is to be sent."""

    wait: str
    until: int
    intents: list[Intent]


class Journey(NamedTuple):
    """All that a move depends on besides the flow."""

    event: Event
    customer: Customer
    now: int
    time_zone: str
    ids: Ids
    stopped: bool = False  # a stopped flow: where its own code fails, the other way is taken


def enter(flow: Flow[Any], journey: Journey) -> Moved:
    return _run(tuple(flow.steps), journey, ENTER)


def wake(wait: Wait[Any], rest: tuple[Step[Any], ...], journey: Journey) -> Moved:
    """The wait ended without the event it may have been for."""
    return _run(wait.or_else + rest, journey, wait.name)


def arrive(wait: Wait[Any], rest: tuple[Step[Any], ...], journey: Journey) -> Moved:
    """The event came that the wait was for."""
    return _run(rest, journey, wait.name)


def _run(steps: tuple[Step[Any], ...], journey: Journey, last_wait: str) -> Moved:
    """Take every step up to the next wait."""
    event, customer, now, time_zone, ids, stopped = journey
    ahead, intents, ordinals = deque(steps), list[Intent](), Counter[str]()
    tested: tuple[str, str, float | None] = ("", "", None)
    while ahead:
        match ahead.popleft():
            case Send(template):
                ordinals[template.name] += 1
                step = f"{last_wait}/{template.name}/{ordinals[template.name]}"
                intents.append(Intent(template, step, last_wait, *tested))
            case Split(cases, otherwise):
                taken = next(
                    (steps for condition, steps in cases if _holds(condition, event, customer, stopped)), otherwise
                )
                ahead.extendleft(reversed(taken))
            case Experiment(name, arms):
                arm = _draw(arms, ids.share("experiment", name, customer.id))
                tested = (name, arm.name, arm.percent / 100)
                ahead.extendleft(reversed(arm.steps))
            case Wait(name, at_most, _, local):
                until = local.next_after(now, time_zone) if local else now + round(at_most.total_seconds() * _MS)
                return Moved(name, until, intents)
            case Leave():
                break
            case step:
                raise AssertionError(f"unknown step {step!r}")
    return Moved("", now, intents)


def _holds(condition: Callable[[Any, Customer], bool], event: Event, customer: Customer, stopped: bool) -> bool:
    try:
        return condition(event, customer)
    except Exception:
        if stopped:
            return False
        raise


def _draw(arms: tuple[Any, ...], share: float) -> Any:
    """The arm whose slice of [0, 100) holds this share."""
    reached = 0.0
    for arm in arms:
        reached += arm.percent
        if share * 100 < reached:
            return arm
    return arms[-1]
