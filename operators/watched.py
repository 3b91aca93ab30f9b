"""The same flows with their conditions watched: each tells what it was asked and what it said.

Only those who explain run watched flows; the flows that a worker runs are as they were written.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from operators.bandits.schedule import Schedule
from operators.flow import Flow
from operators.program import Program
from operators.propensity.forecasts import Forecasts
from operators.steps import Arm, Choose, Experiment, Foretold, ForetoldMoment, Split, Step, Trigger, Wait, named
from operators.trace import Trace
from operators.trials import is_shadow
from state.customer import Customer
from state.passages import Chosen

Condition = Callable[[Any, Customer], bool]
Moment = Callable[[Any, Customer], int]


def watched(program: Program, trace: Trace) -> Program:
    """The program whose conditions write to `trace`; its versions are those of the flows as they were written."""
    told = [flow for flow in program.all if not is_shadow(flow.name)]
    schedule = _WatchedSchedule(program.schedule)
    flows = [_Watch(flow, trace, schedule).flow() for flow in told]
    same = Program(flows, program.windows, forecasts=program.forecasts, schedule=schedule)
    same.versions, same.canary_versions = program.versions, program.canary_versions
    return same


class _WatchedForetold(Foretold):
    def __init__(self, name: str, condition: Foretold, tell: Callable[[bool, str], None]) -> None:
        self.__name__, self._condition, self._tell = name, condition, tell

    def holds(self, customer: Customer, now: int, forecasts: Forecasts | None) -> bool:
        value = self._condition.holds(customer, now, forecasts)
        self._tell(value, _model(forecasts))
        return value


class _WatchedForetoldMoment(ForetoldMoment):
    def __init__(self, name: str, moment: ForetoldMoment, tell: Callable[[int, str], None]) -> None:
        self.__name__, self._moment, self._tell = name, moment, tell

    def after(self, customer: Customer, now: int, forecasts: Forecasts | None, share: float) -> int:
        then = self._moment.after(customer, now, forecasts, share)
        self._tell(then, _model(forecasts))
        return then


class _WatchedSchedule(Schedule):
    """The same entries; `drawn` is what was drawn last."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self.drawn: Chosen | None = None

    def draw(self, step: Choose[Any], context: str, moment: int, share: float) -> tuple[Arm[Any], Chosen]:
        arm, self.drawn = self._schedule.draw(step, context, moment, share)
        return arm, self.drawn


class _Watch:
    def __init__(self, flow: Flow[Any], trace: Trace, schedule: _WatchedSchedule) -> None:
        self._flow, self._trace, self._schedule = flow, trace, schedule

    def flow(self) -> Flow[Any]:
        flow = self._flow
        return replace(
            flow,
            enter=self._trigger(flow.enter, "enter"),
            leave=[self._trigger(each, "leave") for each in flow.leave],
            steps=self._steps(flow.steps),
        )

    def _trigger(self, trigger: Trigger[Any], role: str) -> Trigger[Any]:
        return trigger if trigger.where is None else replace(trigger, where=self._condition(trigger.where, role))

    def _steps(self, steps: Sequence[Step[Any]]) -> tuple[Step[Any], ...]:
        return tuple(map(self._step, steps))

    def _step(self, step: Step[Any]) -> Step[Any]:
        match step:
            case Wait():
                until = None if step.until is None else self._trigger(step.until, "wait for")
                moment = None if step.moment is None else self._moment(step.moment)
                return replace(step, until=until, moment=moment, or_else=self._steps(step.or_else))
            case Split():
                cases = tuple((self._condition(test, "split"), self._steps(branch)) for test, branch in step.cases)
                return replace(step, cases=cases, otherwise=self._steps(step.otherwise))
            case Choose():
                arms = tuple(self._arm(step.name, each, learns=True) for each in step.arms)
                return replace(step, arms=arms, by=tuple(self._condition(each, "split") for each in step.by))
            case Experiment():
                return replace(step, arms=tuple(self._arm(step.name, each) for each in step.arms))
            case _:
                return step

    def _arm(self, experiment: str, arm: Arm[Any], *, learns: bool = False) -> Arm[Any]:
        """An arm that begins by telling that it was drawn."""

        def drawn(_: Any, __: Customer) -> bool:
            chance = _by_shares(self._schedule.drawn) if learns else f"{arm.percent:g} %"
            self._trace.add("arm", flow=self._flow.name, name=experiment, detail=arm.name, reason=chance)
            return True

        return replace(arm, steps=(Split(((drawn, self._steps(arm.steps)),)),))

    def _condition(self, condition: Condition, role: str) -> Condition:
        name = named(condition, role)
        if isinstance(condition, Foretold):
            return _WatchedForetold(name, condition, lambda value, detail: self._tell(name, role, value, detail))

        @functools.wraps(condition)
        def watching(event: Any, customer: Customer) -> bool:
            try:
                value = condition(event, customer)
            except Exception as error:
                self._tell(name, role, None, type(error).__name__)
                raise
            self._tell(name, role, bool(value), "")
            return value

        return watching

    def _moment(self, moment: Moment) -> Moment:
        name = named(moment, "wait_until")
        if isinstance(moment, ForetoldMoment):
            return _WatchedForetoldMoment(
                name,
                moment,
                lambda then, detail: self._trace.add(
                    "moment", flow=self._flow.name, name=name, until=then, detail=detail
                ),
            )

        @functools.wraps(moment)
        def watching(event: Any, customer: Customer) -> int:
            then = moment(event, customer)
            self._trace.add("moment", flow=self._flow.name, name=name, until=then)
            return then

        return watching

    def _tell(self, name: str, role: str, value: bool | None, detail: str) -> None:
        self._trace.add("condition", flow=self._flow.name, name=name, role=role, value=value, detail=detail)


def _model(forecasts: Forecasts | None) -> str:
    return f"model {forecasts.number}" if forecasts else "no model"


def _by_shares(chosen: Chosen | None) -> str:
    """`37.2 %, by shares 5 where is_new`."""
    if chosen is None:
        return ""
    where = f" where {', '.join(chosen.context.split())}" if chosen.context else ""
    by = f"by shares {chosen.shares}{where}" if chosen.shares else "the flow's own shares"
    return f"{100 * chosen.propensity:g} %, {by}"
