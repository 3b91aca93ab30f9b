"""What each message of a program counts against: the shop's caps, those of its flow, and the flows of its group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from operators.exclusion import Rivals, pauses, rivals_of
from operators.flow import Flow
from operators.guards import Rules
from operators.limits import Limit, remembered, that_cover
from operators.program import Program, templates
from operators.trials import base_of
from state.customer import Customer, Sent


class Caps:
    """Worked out once for all flows and templates, since it is asked for with every message."""

    def __init__(self, program: Program, rules: Rules) -> None:
        self._limits = {
            _version(flow): {
                each.name: that_cover(_limits(flow, rules), base_of(flow.name), each.channel, each.topic)
                for each in templates(flow.steps)
            }
            for flow in program.all
        }
        present = [flow for flow in program.flows if flow.trial is None]
        self._rivals = {("", name): rivals for name, rivals in rivals_of(present).items()}
        for flow in program.all:
            if flow.trial is not None and flow.group is not None:
                name = base_of(flow.name)
                instead = [replace(flow, name=name) if each.name == name else each for each in present]
                self._rivals[_version(flow)] = rivals_of(instead)[name]
        self._remembered = tuple(dict.fromkeys(_looked_through(program, rules, self._rivals.values())))

    def limits(self, flow: Flow[Any], template: str) -> tuple[Limit, ...]:
        return self._limits[_version(flow)].get(template, ())

    def rivals(self, flow: Flow[Any]) -> Rivals | None:
        return self._rivals.get(_version(flow))

    def count(self, customer: Customer, sent: Sent) -> None:
        """Note a message that was decided to be sent."""
        customer.sent = remembered([*customer.sent, sent], self._remembered, sent.at)


def _version(flow: Flow[Any]) -> tuple[str, str]:
    return flow.trial.mode if flow.trial is not None else "", flow.name


def _limits(flow: Flow[Any], rules: Rules) -> tuple[Limit, ...]:
    own = () if flow.cap is None else (replace(flow.cap, of="flow", name=base_of(flow.name)),)
    return (*rules.limits, *own)


def _looked_through(program: Program, rules: Rules, rivals: Iterable[Rivals]) -> Iterator[Limit]:
    for flow in program.all:
        yield from _limits(flow, rules)
    if rules.min_gap:
        yield Limit(1, rules.min_gap)
    yield from pauses(rivals)
