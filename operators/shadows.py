"""Versions that run in the shadow of the present one: they decide about everybody, send nothing and change nothing.

While a shadow moves, it sees the customer as if it were the present version: its own messages are among those sent,
those of the present version are not.  What it decides, sends and draws is kept apart, in `Customer.aside`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from operators.effects import Effects
from operators.flow import Flow
from operators.program import Program, templates
from operators.sending import Turn
from operators.trials import base_of, is_shadow
from state.customer import Aside, Customer
from state.passages import Passage, Pending


class Shadows:
    """The shadows of a program, and what each must not see: the messages of the version it is tried against."""

    def __init__(self, program: Program) -> None:
        self._names = {flow.name for flow in program.flows if is_shadow(flow.name)}
        self._hidden = {name: _messages(program.by_name[base_of(name)]) for name in self._names}

    def run(self, turn: Turn, flow: Flow[Any], transition: Callable[[], None]) -> None:
        """Let a shadow's transition happen beside what is.  When it raises, the caller takes the customer back."""
        customer, effects, won = turn.customer, turn.effects, turn.won
        sent, told, arms, pending = customer.sent, customer.told, customer.arms, customer.pending
        mine = Effects()
        aside, base, hidden = customer.aside.get(flow.name, Aside()), base_of(flow.name), self._hidden[flow.name]
        customer.sent = [*(each for each in sent if each.flow != base), *aside.sent]
        customer.told = {**{name: at for name, at in told.items() if name not in hidden}, **aside.told}
        customer.arms = {**aside.arms, **arms}
        customer.pending = shown = [each for each in pending if each.flow != base]
        turn.effects, turn.won = mine, dict(won)
        try:
            transition()
        finally:
            turn.effects, turn.won = effects, won
        effects.shadowed += mine.decisions
        effects.entered += mine.entered
        known = {each.message_id for each in sent}
        now = Aside(
            sent=[each for each in customer.sent if each.message_id not in known],
            told={name: at for name, at in customer.told.items() if told.get(name) != at},
            arms={name: arm for name, arm in customer.arms.items() if name not in arms},
        )
        customer.sent, customer.told, customer.arms = sent, told, arms
        customer.pending = _put_back(pending, shown, customer.pending)
        resting: list[Passage | Pending] = [*customer.passages, *customer.pending]
        inside = any(each.flow == flow.name for each in resting)
        if now != aside or (inside and flow.name not in customer.aside):
            customer.aside = {**customer.aside, flow.name: now}

    def tidy(self, customer: Customer) -> None:
        """Forget the shadows that are no longer in FLOWS."""
        gone = customer.aside.keys() - self._names
        if gone:
            customer.aside = {name: aside for name, aside in customer.aside.items() if name not in gone}
            customer.passages = [each for each in customer.passages if each.flow not in gone]
            customer.pending = [each for each in customer.pending if each.flow not in gone]


def _messages(flow: Flow[Any]) -> set[str]:
    return {template.name for template in templates(flow.steps)}


def _put_back(before: list[Pending], shown: list[Pending], after: list[Pending]) -> list[Pending]:
    """All that was hidden, where it was, with what became of the rest."""
    if after is shown:
        return before
    kept, were_shown = {id(each) for each in after}, {id(each) for each in shown}
    new = [each for each in after if id(each) not in were_shown]
    return [*(each for each in before if id(each) in kept or id(each) not in were_shown), *new]
