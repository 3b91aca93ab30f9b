"""The vocabulary for describing flows.

A flow is a value: one frozen object that says who enters, who leaves early, and what happens in
between.  Nothing here runs a flow; see `operators.journey`.  Whoever writes flows imports from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Generic, Literal

from operators.bandits.learning import Learning, Rails, epsilon_greedy, thompson
from operators.exclusion import Group
from operators.faults import FlowError, expect, expect_all, shown
from operators.limits import Limit, at_most
from operators.local_time import FRIDAY, MONDAY, SATURDAY, SUNDAY, THURSDAY, TUESDAY, WEDNESDAY, LocalTime, at
from operators.recommends import Recommend, recommend
from operators.steps import (
    A_STEP,
    UNPRINTED,
    UNSAID,
    Arm,
    Choose,
    Condition,
    Content,
    E,
    Experiment,
    Leave,
    Moment,
    Send,
    Split,
    Step,
    Template,
    Trigger,
    Wait,
    arm,
    choose,
    days,
    experiment,
    hours,
    leave,
    milliseconds,
    minutes,
    on,
    send,
    split,
    wait,
    wait_for,
    wait_spread,
    wait_until,
    when,
)
from operators.trials import Trial, faults
from operators.walk import check_steps
from state.events import Event

__all__ = [
    "FRIDAY",
    "MONDAY",
    "SATURDAY",
    "SUNDAY",
    "THURSDAY",
    "TUESDAY",
    "WEDNESDAY",
    "Arm",
    "Choose",
    "Condition",
    "Content",
    "Experiment",
    "Flow",
    "FlowError",
    "Group",
    "Learning",
    "Leave",
    "LocalTime",
    "Moment",
    "Rails",
    "Recommend",
    "Send",
    "Split",
    "Step",
    "Template",
    "Trigger",
    "Wait",
    "arm",
    "at",
    "at_most",
    "canary",
    "check_flows",
    "choose",
    "days",
    "epsilon_greedy",
    "experiment",
    "hours",
    "leave",
    "milliseconds",
    "minutes",
    "on",
    "recommend",
    "send",
    "shadow",
    "split",
    "thompson",
    "wait",
    "wait_for",
    "wait_spread",
    "wait_until",
    "when",
]

_AN_EVENT = "Write on(…) around the kind of event: on(OrderCompleted)."


@dataclass(frozen=True)
class Flow(Generic[E]):
    """Who enters, what happens, who leaves early.

    `per` is the kind of event whose subject tells passages apart: one passage per cart, per order.
    `restart`: an entering event starts a passage under way over.  `renamed` maps the old name of a
    wait to its new one.  `priority` decides which of two messages wins, the higher first.  `grace`
    is how much longer than due a wake waits for late events.  A `closed` flow takes nobody in.
    `moves_inside`: the events that can move those who are inside already.  `while_stopped` says what customers
    do inside a flow that is stopped at run time: `go_on`, their messages being decided `flow_stopped`,
    or `rest` where they are until it is started again.
    `cap` limits what one customer gets from this flow.  Of the flows of a `group` one at a time speaks to her.
    `holdout_percent` of all customers get no marketing from this flow, to compare the others with.
    `credited` is how long after one of its messages an order is credited to it in reports.
    """

    name: str
    enter: Trigger[E]
    steps: Sequence[Step[E]]
    leave: Sequence[Trigger[Event]] = ()
    per: type[Event] = Event
    restart: bool = False
    renamed: Mapping[str, str] = field(default_factory=dict[str, str])
    priority: int = 0
    grace: timedelta = timedelta(0)
    closed: bool = False
    while_stopped: Literal["go_on", "rest"] = "go_on"
    cap: Limit | None = field(default=None, metadata=UNSAID)
    group: Group | None = field(default=None, metadata=UNSAID)
    holdout_percent: float = field(default=0.0, metadata=UNSAID)
    credited: timedelta = field(default=timedelta(days=7), metadata=UNSAID)
    trial: Trial | None = field(default=None, metadata=UNPRINTED)
    after: Mapping[str, tuple[Wait[E], tuple[Step[E], ...]]] = field(init=False, repr=False, compare=False)
    moves_inside: frozenset[type[Event]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        expect("the name of a flow", self.name, str, 'Something like "welcome" will do.')
        expect(f"{self.name}.enter", self.enter, Trigger, _AN_EVENT)
        expect_all(f"{self.name}.leave", self.leave, Trigger, f"{_AN_EVENT} Write leave=[…] around them.")
        if not issubclass(self.enter.event, self.per):
            raise FlowError(
                f"{self.name}.per: customers enter with a {self.enter.event.__name__}, "
                f"which is not a {self.per.__name__}. Enter with an event of that kind, or change per."
            )
        if not 0 <= self.holdout_percent <= 100:
            raise FlowError(
                f"{self.name}.holdout_percent is {self.holdout_percent:g}, which is not between 0 and 100. "
                "Something like 10 will do."
            )
        expect_all(f"{self.name}.steps", self.steps, Step, A_STEP)
        after = check_steps(self.name, tuple(self.steps))
        for old, new in self.renamed.items():
            if new not in after or old in after:
                raise FlowError(
                    f'{self.name}.renamed: "{old}" → "{new}" must lead from a wait that is gone to one that is there. '
                    f"There are {', '.join(sorted(after)) or 'none'}."
                )
        object.__setattr__(self, "after", MappingProxyType(after))
        awaited = (wait.until for wait, _ in after.values() if wait.until is not None)
        object.__setattr__(self, "moves_inside", frozenset(trigger.event for trigger in (*self.leave, *awaited)))

    def find_wait(self, name: str) -> tuple[Wait[E], tuple[Step[E], ...]] | None:
        """The wait that a parked customer's stored name means now, and the steps after it."""
        return self.after.get(self.renamed.get(name, name))


def canary(flow: Flow[E], *, percent: float) -> Flow[E]:
    """Try this version on so many percent of the customers, the same ones all the time; the others stay under the
    present one, which stands in FLOWS too.  Promote it by taking `canary` away; with `percent=0` it is rolled back."""
    return replace(flow, trial=Trial("canary", percent))


def shadow(flow: Flow[E]) -> Flow[E]:
    """Let this version decide about everybody beside the present one, and send nothing."""
    return replace(flow, trial=Trial("shadow"))


def check_flows(flows: Sequence[Flow[Any]]) -> None:
    """Raise `FlowError` when two flows share a name, two groups do, or a trial has nothing to be compared with."""
    for number, each in enumerate(flows):
        if not isinstance(each, Flow):
            raise FlowError(f"FLOWS[{number}] is {shown(each)}. It takes flows, and canary(…) or shadow(…) of them.")
    found = list(faults((flow.name, flow.trial) for flow in flows))
    groups: dict[str, Group] = {}
    for flow in flows:
        if flow.group is not None and groups.setdefault(flow.group.name, flow.group) != flow.group:
            found.append(
                f'{flow.name}.group: there already is another group "{flow.group.name}". '
                "Write it once, as a value that each of its flows names."
            )
    if found:
        raise FlowError("\n".join(found))
