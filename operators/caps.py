"""What each message of a program counts against: the shop's caps, those of its flow, and the flows of its group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from operators.exclusion import Rivals, pauses, rivals_of
from operators.flow import Flow
from operators.guards import Rules
from operators.limits import Limit, remembered, that_cover
from operators.program import Program, templates
from state.customer import Customer, Sent


class Caps:
    """Worked out once for all flows and templates, since it is asked for with every message."""

    def __init__(self, program: Program, rules: Rules) -> None:
        self._limits = {
            flow.name: {
                each.name: that_cover(_limits(flow, rules), flow.name, each.channel, each.topic)
                for each in templates(flow.steps)
            }
            for flow in program.flows
        }
        self._rivals = rivals_of(program.flows)
        self._remembered = tuple(dict.fromkeys(_looked_through(program, rules, self._rivals)))

    def limits(self, flow: str, template: str) -> tuple[Limit, ...]:
        return self._limits[flow].get(template, ())

    def rivals(self, flow: str) -> Rivals | None:
        return self._rivals.get(flow)

    def count(self, customer: Customer, sent: Sent) -> None:
        """Note a message that was decided to be sent."""
        customer.sent = remembered([*customer.sent, sent], self._remembered, sent.at)


def _limits(flow: Flow[Any], rules: Rules) -> tuple[Limit, ...]:
    own = () if flow.cap is None else (replace(flow.cap, of="flow", name=flow.name),)
    return (*rules.limits, *own)


def _looked_through(program: Program, rules: Rules, rivals: dict[str, Rivals]) -> Iterator[Limit]:
    for flow in program.flows:
        yield from _limits(flow, rules)
    if rules.min_gap:
        yield Limit(1, rules.min_gap)
    yield from pauses(rivals)
