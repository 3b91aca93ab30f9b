"""Moving one customer through one flow.

Pure functions of (flow, where the customer is, what happened, when).  No I/O and no clock: time
arrives as an argument, so a year of a flow can be tested in a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from operators.bandits.schedule import Schedule
from operators.experiments import Drawn, arm_for
from operators.flow import Arm, Choose, Experiment, Flow, Leave, Send, Split, Step, Template, Wait
from operators.propensity.forecasts import Forecasts
from operators.steps import Foretold, ForetoldMoment, named
from state.customer import Customer
from state.events import Event
from state.ids import Ids
from state.passages import Chosen

ENTER = "enter"
_UNLEARNT = Schedule()


class Intent(msgspec.Struct, frozen=True, gc=False):
    """A message a flow wants to send; the guards have the last word."""

    template: Template[Any]
    step: str
    wait: str
    chosen: Chosen | None = None
    otherwise: tuple[tuple[str, str], ...] = ()  # template and step of what goes in its place


class Moved(msgspec.Struct, frozen=True, gc=False):
    """Where a customer rests now (an empty wait: she is through), what is to be sent, which arms she got for good."""

    wait: str
    until: int
    intents: list[Intent]
    drawn: tuple[Drawn, ...] = ()
    chosen: Chosen | None = None  # the arm she came through last


class Journey(msgspec.Struct, frozen=True, gc=False):
    """All that a move depends on besides the flow.  `chosen` is the arm that the passage came through before."""

    event: Event
    customer: Customer
    now: int
    time_zone: str
    ids: Ids
    forecasts: Forecasts | None = None
    passage: str = ""
    chosen: Chosen | None = None
    schedule: Schedule | None = None
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
    now, ahead = journey.now, steps
    intents: list[Intent] = []
    ordinals: dict[str, int] = {}
    chosen = journey.chosen
    drawn: dict[str, Drawn] = {}
    while ahead:
        step, ahead = ahead[0], ahead[1:]
        match step:
            case Wait():
                return Moved(step.name, _end(step, journey), intents, tuple(drawn.values()) if drawn else (), chosen)
            case Send():
                name = step.template.name
                ordinal = ordinals[name] = ordinals.get(name, 0) + 1
                place = f"{last_wait}/{name}/{ordinal}"
                if step.otherwise:
                    instead = tuple((each.name, _place(each, last_wait, ordinals)) for each in step.otherwise)
                    intents.append(Intent(step.template, place, last_wait, chosen, instead))
                else:
                    intents.append(Intent(step.template, place, last_wait, chosen))
            case Split():
                ahead = _branch(step, journey) + ahead
            case Choose():
                arm, chosen = _choose(step, journey)
                ahead = arm.steps + ahead
            case Experiment():
                arm, propensity = arm_for(step, journey.customer, journey.ids, drawn)
                chosen = Chosen(step.name, arm.name, propensity)
                ahead = arm.steps + ahead
            case Leave():
                break
            case _:
                raise AssertionError(f"unknown step {step!r}")
    return Moved("", now, intents, tuple(drawn.values()))


def _end(wait: Wait[Any], journey: Journey) -> int:
    """When a wait that begins now is over at the latest."""
    now = journey.now
    if wait.local is not None:
        return wait.local.next_after(now, journey.time_zone)
    if wait.spread:
        return now + int(wait.at_most_ms * _share(wait, journey))
    latest = now + wait.at_most_ms
    if wait.moment is None:
        return latest
    try:
        if isinstance(wait.moment, ForetoldMoment):
            return wait.moment.after(journey.customer, now, journey.forecasts, _share(wait, journey))
        return max(now, min(wait.moment(journey.event, journey.customer), latest))
    except Exception:
        if journey.stopped:
            return latest
        raise


def _share(wait: Wait[Any], journey: Journey) -> float:
    """Each customer and event has another part of [0, 1)."""
    return journey.ids.share("spread", wait.name, journey.customer.id, journey.event.id)


def _place(template: Template[Any], last_wait: str, ordinals: dict[str, int]) -> str:
    """The name of a step; a message that may go in another's place has its own, whether it goes or not."""
    name = template.name
    ordinal = ordinals[name] = ordinals.get(name, 0) + 1
    return f"{last_wait}/{name}/{ordinal}"


def _choose(step: Choose[Any], journey: Journey) -> tuple[Arm[Any], Chosen]:
    """Drawn for this passage, whoever she is: what is best changes, and she may get another arm the next time."""
    context = " ".join(sorted(named(each, step.name) for each in step.by if _holds(each, journey)))
    share = journey.ids.share("choose", step.name, journey.passage)
    return (journey.schedule or _UNLEARNT).draw(step, context, journey.now, share)


def _branch(split: Split[Any], journey: Journey) -> tuple[Step[Any], ...]:
    """The steps of the first case that holds."""
    for condition, steps in split.cases:
        if _holds(condition, journey):
            return steps
    return split.otherwise


def _holds(condition: Callable[[Any, Customer], bool], journey: Journey) -> bool:
    try:
        if isinstance(condition, Foretold):
            return condition.holds(journey.customer, journey.now, journey.forecasts)
        return condition(journey.event, journey.customer)
    except Exception:
        if journey.stopped:
            return False
        raise
