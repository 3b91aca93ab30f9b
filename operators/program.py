"""The flows of a deployment, made ready to run: indexed by the events they listen for, and versioned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import timedelta
from hashlib import blake2b
from inspect import getsource
from typing import Any

from operators.bandits.schedule import Schedule
from operators.experiments import shares
from operators.faults import FlowError, Noted
from operators.flow import Flow, check_flows
from operators.propensity.forecasts import Forecasts
from operators.propensity.window import habits
from operators.steps import (
    Choose,
    Experiment,
    Foretold,
    ForetoldMoment,
    Send,
    Split,
    Step,
    Template,
    Trigger,
    Wait,
    named,
)
from operators.trials import canary_name, shadow_name
from operators.walk import every
from operators.window_reads import unkept
from operators.windows import Window, check_windows
from state.events import Event

Template_ = Template[Any]


class Program:
    """What a worker runs.  Raises `FlowError` when two flows share a name, or two different templates do.

    `texts` are the template files, by template name: a changed text is a new version of its flows.  `forecasts` are
    what conditions such as `likely_to_buy` ask; they stay the same as long as the program does.  `schedule` are the
    shares that choices draw by; entries may be added to it.
    """

    def __init__(
        self,
        flows: Sequence[Flow[Any]],
        windows: Sequence[Window] = (),
        texts: Mapping[str, bytes] | None = None,
        forecasts: Forecasts | None = None,
        schedule: Schedule | None = None,
    ) -> None:
        check_flows(flows)
        check_windows(windows)
        noted = Noted()
        for flow in flows:
            for check in (_check_foretold, _check_windows_read):
                with noted.check():
                    check(flow, windows)
        self.forecasts = forecasts
        self.schedule = schedule if schedule is not None else Schedule()
        self.canaries = {flow.name: flow for flow in flows if flow.trial and flow.trial.mode == "canary"}
        running: list[Flow[Any]] = []
        for flow in flows:
            if flow.name not in self.canaries or flow.trial is None:
                with noted.check():
                    running.append(self._running(flow))
        # One that is asked first wins where two want the same customer at once.
        self.flows = tuple(sorted(running, key=_rank))
        self.all = tuple(sorted([*running, *self.canaries.values()], key=_rank))
        self.on_trial = any(flow.trial is not None for flow in self.all)
        self.windows = tuple(windows)
        self.by_name = {flow.name: flow for flow in running}
        self.by_any_name = {**self.by_name, **{canary_name(name): flow for name, flow in self.canaries.items()}}
        self.templates: dict[str, Template_] = {}
        self.versions: dict[str, str] = {}
        self.canary_versions: dict[str, str] = {}
        tests: dict[str, object] = {}
        self._listening: dict[type[Event], tuple[Flow[Any], ...]] = {}
        for flow in flows:
            mine = list(templates(flow.steps))
            for template in mine:
                with noted.check():
                    self._name(flow, template)
            for step in experiments(flow.steps) if flow.trial is None else ():
                with noted.check():
                    _check_drawn_alike(flow, step, tests)
            made = version(flow, [(texts or {}).get(each.name, b"") for each in mine])
            if flow.trial is None:
                self.versions[flow.name] = made
            elif flow.trial.mode == "canary":
                self.canary_versions[flow.name] = made
            else:
                self.versions[shadow_name(flow.name)] = made
        noted.end()

    def listening(self, kind: type[Event]) -> tuple[Flow[Any], ...]:
        """The flows that an event of this kind can move, the highest priority first."""
        found = self._listening.get(kind)
        if found is None:
            found = tuple(flow for flow in self.flows if any(issubclass(kind, each) for each in self._listens(flow)))
            self._listening[kind] = found
        return found

    def _name(self, flow: Flow[Any], template: Template_) -> None:
        if self.templates.setdefault(template.name, template) != template:
            raise FlowError(
                f'{flow.name}: there already is another template "{template.name}". '
                "Messages are found by the name of their template, so each needs its own."
            )

    def _listens(self, flow: Flow[Any]) -> set[type[Event]]:
        canary = self.canaries.get(flow.name)
        return listens(flow) if canary is None else listens(flow) | listens(canary)

    def version_of(self, flow: Flow[Any] | None) -> str:
        if flow is None:
            return ""
        is_canary = flow.trial is not None and flow.trial.mode == "canary"
        return (self.canary_versions if is_canary else self.versions)[flow.name]

    def _running(self, flow: Flow[Any]) -> Flow[Any]:
        """As it is run: a shadow by a name of its own; a flow with a canary so that it takes back whom that parked."""
        if flow.trial is not None:
            return replace(flow, name=shadow_name(flow.name))
        canary = self.canaries.get(flow.name)
        if canary is None:
            return flow
        if (canary.per, canary.enter.event) != (flow.per, flow.enter.event):
            raise FlowError(
                f"{flow.name}: its canary has another per, or enters by another event. Passages of both are stored "
                "alike, so that customers can go on by either; try such a version as a shadow."
            )
        back = {new: old for old, new in canary.renamed.items() if old in flow.after and new not in flow.after}
        return replace(flow, renamed={**back, **flow.renamed}) if back else flow


def _check_drawn_alike(flow: Flow[Any], step: Experiment[Any], tests: dict[str, object]) -> None:
    if tests.setdefault(step.name, _drawn_by(step)) != _drawn_by(step):
        raise FlowError(
            f'{flow.name}: experiment "{step.name}" has other arms or shares elsewhere. Whoever has an arm '
            "of an experiment keeps it wherever she meets it; give this one a name of its own."
        )


def _check_windows_read(flow: Flow[Any], windows: Sequence[Window]) -> None:
    for function, window in unkept(flow, windows):
        raise FlowError(
            f'{flow.name}: {function} reads the window "{window.name}", which nobody keeps. Put it into WINDOWS; '
            "in a test: simulate(…, windows=[…])."
        )


def _check_foretold(flow: Flow[Any], windows: Sequence[Window]) -> None:
    if habits in windows:
        return
    for step in every(flow.steps):
        for asks in _foretold(step):
            raise FlowError(
                f"{flow.name}: {named(asks, 'when')} asks about habits that nobody keeps. Put `habits` of "
                "operators.propensity.window into WINDOWS."
            )


def _foretold(step: Step[Any]) -> Iterator[Callable[..., object]]:
    """What a step asks of what is foretold."""
    if isinstance(step, Split):
        yield from (condition for condition, _ in step.cases if isinstance(condition, Foretold))
    elif isinstance(step, Choose):
        yield from (condition for condition in step.by if isinstance(condition, Foretold))
    elif isinstance(step, Wait) and isinstance(step.moment, ForetoldMoment):
        yield step.moment


def _drawn_by(step: Experiment[Any]) -> object:
    return (shares(step), step.learns, step.by) if isinstance(step, Choose) else shares(step)


def _rank(flow: Flow[Any]) -> int:
    return -flow.priority


def listens(flow: Flow[Any]) -> set[type[Event]]:
    waits = (wait.until.event for wait, _ in flow.after.values() if wait.until is not None)
    return {flow.enter.event, *(trigger.event for trigger in flow.leave), *waits}


def templates(steps: Iterable[Step[Any]]) -> Iterator[Template_]:
    """Every template that these steps can send, in the order they are written."""
    for step in every(steps):
        if isinstance(step, Send):
            yield step.template
            yield from step.otherwise


def experiments(steps: Iterable[Step[Any]]) -> Iterator[Experiment[Any]]:
    return (step for step in every(steps) if isinstance(step, Experiment))


def choices(flows: Iterable[Flow[Any]]) -> dict[str, Choose[Any]]:
    """The choices that learn, by name."""
    steps = (step for flow in flows for step in every(flow.steps))
    return {step.name: step for step in steps if isinstance(step, Choose)}


def version(flow: Flow[Any], texts: Iterable[bytes] = ()) -> str:
    """Twelve hex digits of what a flow says: its printed form, the source of its functions, its texts."""
    digest = blake2b(printed(flow).encode(), digest_size=6)
    for text in texts:
        digest.update(len(text).to_bytes(8, "big") + text)
    return digest.hexdigest()


def printed(value: object) -> str:
    """A flow as text, the same in every process that reads the same source."""
    match value:
        case timedelta():
            return f"{value.total_seconds():g}s"
        case type():
            return value.__name__
        case Trigger() | Flow() | Step() | Template():
            return _fields(value)
        case str() | bytes() | int() | float() | bool() | None:
            return repr(value)
        case Mapping():
            return "{" + ", ".join(f"{printed(k)}: {printed(v)}" for k, v in sorted(value.items())) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(printed, value)) + "]"
        case _ if callable(value):
            return _function(value)
        case _ if is_dataclass(value):
            return _fields(value)
        case _:
            return repr(value)


def _fields(value: Any) -> str:
    shown = (
        (field.name, getattr(value, field.name))
        for field in fields(value)
        if field.init
        and "unprinted" not in field.metadata
        and not ("unsaid" in field.metadata and getattr(value, field.name) == field.default)
    )
    return type(value).__name__ + "(" + ", ".join(f"{name}={printed(each)}" for name, each in shown) + ")"


def _function(function: Any) -> str:
    try:
        return getsource(function)
    except (OSError, TypeError):
        # Typed at a prompt: the compiled form is what there is.
        code = getattr(function, "__code__", None)
        return f"{function.__name__} {code.co_code.hex() if code else ''} {code.co_consts if code else ''}"
