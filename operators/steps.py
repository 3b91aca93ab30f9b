"""The lines a flow is written in: triggers, sends, waits, splits, experiments.

Customers only ever rest at a wait, so waits are the only steps with names.  A wait's name is what is
stored for a parked customer, which is why sends and splits can be edited freely while customers are
inside the flow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any, Generic, TypeVar, get_args, overload

from operators.bandits.learning import Learning
from operators.faults import FlowError, expect, expect_all, shown
from operators.local_time import LocalTime
from operators.propensity.forecasts import Forecasts
from operators.recommends import Recommend
from state.customer import Customer
from state.events import Event
from state.messages import Channel, Kind

E = TypeVar("E", bound=Event)
E_co = TypeVar("E_co", bound=Event, covariant=True)
E_contra = TypeVar("E_contra", bound=Event, contravariant=True)

Condition = Callable[[E, Customer], bool]
Content = Callable[[E, Customer], Mapping[str, Any]]
Moment = Callable[[E, Customer], int]
"""A moment of event time, in milliseconds since 1970 as `event.at` is."""


A_STEP = "Steps are what send(…), wait(…), split(…) and their like return."
IN_TIME = "Write minutes(…), hours(…) or days(…)."

UNSAID: Mapping[str, Any] = {"unsaid": True}
"""Of fields that came later: while unset they are no part of a flow's printed form, so its version stays."""

UNPRINTED: Mapping[str, Any] = {"unprinted": True}
"""Of what is no part of a flow's version: it says how the version is run."""


def minutes(n: float) -> timedelta:
    return timedelta(minutes=n)


def hours(n: float) -> timedelta:
    return timedelta(hours=n)


def days(n: float) -> timedelta:
    return timedelta(days=n)


def milliseconds(time: timedelta) -> int:
    """As `event.at` counts: `since=view.at - milliseconds(days(14))`."""
    return time // timedelta(milliseconds=1)


def named(function: Callable[..., Any], place: str) -> str:
    """The name under which `explain`, metrics and tests know a function; lambdas have none."""
    if not callable(function):
        raise FlowError(f"{place} is {shown(function)}. Name a function of event and customer.")
    name: str = getattr(function, "__name__", "")
    if not name or name == "<lambda>":
        raise FlowError(
            f"{place}: a condition without a name cannot be explained or drawn. Write it as a function with a name."
        )
    return name


class Foretold:
    """A condition that is asked with what is foretold of visitors, and when: in `when(…)`, nowhere else."""

    def holds(self, customer: Customer, now: int, forecasts: Forecasts | None) -> bool:
        raise NotImplementedError

    def __call__(self, event: Event, customer: Customer) -> bool:
        raise FlowError(f"{named(self, 'condition')} knows nothing by itself. Ask it in when(…).")


class ForetoldMoment:
    """A moment that is asked with what is foretold of visitors: in `wait_until(…)`, nowhere else."""

    longest = timedelta(days=1)

    def after(self, customer: Customer, now: int, forecasts: Forecasts | None, share: float) -> int:
        """Not before `now`.  `share` of [0, 1) tells customers apart, so that not all come at one moment."""
        raise NotImplementedError

    def __call__(self, event: Event, customer: Customer) -> int:
        raise FlowError(f"{named(self, 'moment')} knows nothing by itself. Ask it in wait_until(…).")


@dataclass(frozen=True)
class Template(Generic[E_contra]):
    """A message, and the event it needs in order to be written.

    `content` makes the plain JSON values its files are rendered with.  `within` is its latest useful
    moment, counted from the decision's `at`.  `topic` is the consent topic of a marketing message.
    `at_most_once` gives up a message whose fate is unknown rather than risk sending it twice.
    `to` says where a webhook goes: an endpoint of the configuration, or a web address out of event and customer.
    `recommends` are products that are chosen when it is sent, `recommended` in its files.
    """

    name: str
    content: Callable[[E_contra, Customer], Mapping[str, Any]]
    channel: Channel = "email"
    kind: Kind = "marketing"
    topic: str = "marketing"
    within: timedelta = timedelta(hours=24)
    at_most_once: bool = False
    to: str | Callable[[E_contra, Customer], str] = field(default="", metadata=UNSAID)
    recommends: Recommend | None = field(default=None, metadata=UNSAID)

    def __post_init__(self) -> None:
        place = f'template "{self.name}"'
        for field_name, value, choices in (
            ("channel", self.channel, get_args(Channel)),
            ("kind", self.kind, get_args(Kind)),
        ):
            if value not in choices:
                raise FlowError(f"{place}.{field_name} is {shown(value)}. There are {', '.join(choices)}.")
        expect(f"{place}.within", self.within, timedelta, IN_TIME)
        named(self.content, f"{place}.content")
        if callable(self.to):
            named(self.to, f"{place}.to")
        if bool(self.to) != (self.channel == "webhook"):
            raise FlowError(
                f"{place}.to: a webhook goes to an endpoint by its name in [webhook] endpoints, or to "
                "the web address that a function of event and customer returns. Name one of the two."
                if self.channel == "webhook"
                else f"{place}.to: {self.channel} goes to the customer. Leave it out."
            )
        if self.within <= timedelta(0):
            raise FlowError(f"{place}.within must be longer than nothing, got {self.within}.")

    @cached_property
    def within_ms(self) -> int:
        return round(self.within.total_seconds() * 1000)


@dataclass(frozen=True)
class Trigger(Generic[E_co]):
    """A kind of event, perhaps only where a condition holds."""

    event: type[Event]
    where: Callable[[Any, Customer], bool] | None = None


def on(event: type[E], where: Condition[E] | None = None) -> Trigger[E]:
    if not (isinstance(event, type) and issubclass(event, Event)):
        raise FlowError(f"on(…): {shown(event)} is no kind of event. Name a class of them: on(OrderCompleted).")
    if where is not None:
        name = named(where, f"on({event.__name__}, where=…)")
        if isinstance(where, Foretold):
            raise FlowError(
                f"on({event.__name__}, where={name}): what is foretold changes by itself, so nobody could say later "
                "why she came in. Let her in, and ask it in split(when(…))."
            )
    return Trigger(event, where)


class Step(Generic[E_contra]):
    """One line of a flow whose customers entered with an `E_contra`."""


@dataclass(frozen=True)
class Send(Step[E_contra]):
    """A message; where she cannot get it, the first of `otherwise` that she can get."""

    template: Template[E_contra]
    otherwise: tuple[Template[E_contra], ...] = field(default=(), metadata=UNSAID)

    def __post_init__(self) -> None:
        expect("send(…)", self.template, Template, "Name a Template.")
        expect_all(f"send({self.template.name}, otherwise=…)", self.otherwise, Template, "Name a Template.")
        names = [each.name for each in (self.template, *self.otherwise)]
        if len(set(names)) < len(names):
            raise FlowError(
                f'send({names[0]}, otherwise=…): "{names[0]}" would be sent in place of itself. '
                "Name messages that go another way."
                if names[0] in names[1:]
                else f"send({names[0]}, otherwise=…): a message is named twice. Take one of them out."
            )


@dataclass(frozen=True)
class Wait(Step[E_contra]):
    """A rest: for a time, until an event comes or a computed moment (at most so long), or until a local hour.

    `spread`: each customer for another part of the time.
    """

    name: str
    at_most: timedelta
    until: Trigger[Event] | None = None
    local: LocalTime | None = None
    or_else: tuple[Step[E_contra], ...] = ()
    moment: Callable[[Any, Customer], int] | None = field(default=None, metadata=UNSAID)
    spread: bool = field(default=False, metadata=UNSAID)

    @cached_property
    def at_most_ms(self) -> int:
        return round(self.at_most.total_seconds() * 1000)


@dataclass(frozen=True)
class Split(Step[E_contra]):
    cases: tuple[tuple[Callable[[Any, Customer], bool], tuple[Step[E_contra], ...]], ...]
    otherwise: tuple[Step[E_contra], ...] = ()


@dataclass(frozen=True)
class Arm(Generic[E_contra]):
    name: str
    percent: float
    steps: tuple[Step[E_contra], ...]


@dataclass(frozen=True)
class Experiment(Step[E_contra]):
    """A split by a keyed hash of the customer: sticky, and with the given shares."""

    name: str
    arms: tuple[Arm[E_contra], ...]


@dataclass(frozen=True)
class Choose(Experiment[E_contra]):
    """An experiment that learns: drawn anew for each passage, by shares that follow what the arms bring.

    Until something was learnt the shares are the arms' own.  `by` are conditions that may make another arm the best.
    """

    learns: Learning = field(kw_only=True)
    by: tuple[Callable[[Any, Customer], bool], ...] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class Leave(Step[E_contra]):
    pass


leave: Step[Event] = Leave()


def send(template: Template[E], *, otherwise: Template[E] | Sequence[Template[E]] = ()) -> Step[E]:
    """Send a message; `otherwise` where it cannot reach her, the first of several that can.

    That is when she has no address on its channel, has not agreed to it, is on the suppression list, or when its
    provider refuses it for good.  What is only put off (quiet hours, a provider that is down) is not replaced.
    """
    return Send(template, (otherwise,) if isinstance(otherwise, Template) else tuple(otherwise))


def wait(name: str, duration: timedelta) -> Step[Event]:
    return Wait(name, duration)


def wait_spread(name: str, over: timedelta) -> Step[Event]:
    """Rest for a part of this time, each customer and event for another, so that not all come on at once."""
    return Wait(name, over, spread=True)


@overload
def wait_until(name: str, then: LocalTime) -> Step[Event]: ...
@overload
def wait_until(name: str, then: ForetoldMoment) -> Step[Event]: ...
@overload
def wait_until(name: str, then: Moment[E], *, at_most: timedelta) -> Step[E]: ...
def wait_until(
    name: str, then: LocalTime | ForetoldMoment | Moment[E], *, at_most: timedelta = timedelta(0)
) -> Step[Any]:
    """Rest until the next such moment in the customer's zone: `wait_until("morning", at(9))`.

    Or until the moment that a function of event and customer names, not longer than `at_most`; one that has passed
    ends the wait at once.
    """
    if isinstance(then, LocalTime):
        return Wait(name, then.longest, local=then)
    named(then, f'wait_until("{name}", …)')
    return Wait(name, then.longest if isinstance(then, ForetoldMoment) else at_most, moment=then)


def wait_for(name: str, event: Trigger[Event], *, within: timedelta, or_else: Sequence[Step[E]] = ()) -> Step[E]:
    """Rest until the event comes; when it has not come `within`, take the steps of `or_else` first."""
    expect(f'wait_for("{name}", …)', event, Trigger, "Write on(…) around the kind of event.")
    return Wait(name, within, until=event, or_else=tuple(or_else))


def when(condition: Condition[E], *steps: Step[E]) -> tuple[Condition[E], tuple[Step[E], ...]]:
    named(condition, "when(…)")
    expect_all(f"when({named(condition, 'when(…)')}, …)", steps, Step, A_STEP)
    return condition, steps


def split(*cases: tuple[Condition[E], tuple[Step[E], ...]], otherwise: Sequence[Step[E]] = ()) -> Step[E]:
    for case in cases:
        if not isinstance(case, tuple):
            raise FlowError(f"split(…): {shown(case)} is no case. Write each as when(condition, send(…)).")
    expect_all("split(…, otherwise=…)", otherwise, Step, A_STEP)
    return Split(cases, tuple(otherwise))


def arm(name: str, percent: float, *steps: Step[E]) -> Arm[E]:
    expect(f'arm("{name}", …)', percent, (int, float), "Write its share in percent, before the steps.")
    expect_all(f'arm("{name}", …)', steps, Step, A_STEP)
    return Arm(name, percent, steps)


def experiment(name: str, *arms: Arm[E]) -> Step[E]:
    return Experiment(name, arms)


def choose(name: str, *arms: Arm[E], learns: Learning, by: Sequence[Condition[E]] = ()) -> Step[E]:
    """Choose among message variants, offers, hours or recommendations by what they brought so far.

    `choose("offer", arm("ten_percent", 50, send(ten_off)), arm("delivery", 50, send(free)), learns=thompson("click"))`
    begins with these shares.  `by` are up to six named conditions: what is best may differ where they hold.
    """
    for condition in by:
        named(condition, f'choose("{name}", by=…)')
    return Choose(name, arms, learns=learns, by=tuple(by))
