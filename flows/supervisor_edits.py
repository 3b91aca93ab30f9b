"""What may not change in a flow while customers are inside it, and what to write instead.

Sends, splits, conditions, texts, durations and shares are free.  What a parked customer is stored by is not: the name
of her flow and of her wait, the event that brought her, and what tells her passages apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from operators.counts import Parked
from operators.flow import Flow
from operators.program import Program
from operators.trials import is_shadow
from state.event_codec import KINDS
from state.files import write_whole

FILE = "flows.json"
_CLOSED = "keep it in FLOWS with closed=True until it is empty"


class ParkedNowhere(RuntimeError):
    """Customers rest where these flows would not, or not rightly, go on with them."""


class Form(msgspec.Struct, frozen=True):
    """By what those inside a flow are stored: the kind of `per`, and the kinds of event that brought them."""

    per: str
    enter: tuple[str, ...]


def check(program: Program, parked: Parked, folder: Path) -> None:
    """Raises `ParkedNowhere` with all that is wrong; else writes down what those who come in now are stored by."""
    before = forms(folder)
    if lost := left_behind(program, parked, before):
        raise ParkedNowhere("\n  ".join(["Customers are parked where no flow goes on:", *lost]))
    present = [flow for flow in program.flows if not is_shadow(flow.name)]
    now = {flow.name: _form(flow, _inside(parked, flow.name), before.get(flow.name)) for flow in present}
    if now != before:
        write_whole(folder / FILE, json.dumps(msgspec.to_builtins(now), indent=1))


def left_behind(program: Program, parked: Parked, before: Mapping[str, Form]) -> list[str]:
    """For each flow and wait at which people could not go on: how many, why, and the way out."""
    waits = [
        f'{count} at wait "{wait}" of {fault}'
        for (name, wait), count in sorted(parked.items())
        if count > 0 and not is_shadow(name) and (fault := _no_wait(program, name, wait))
    ]
    changed = (
        fault
        for flow in program.flows
        if (count := _inside(parked, flow.name)) and flow.name in before
        for fault in _other_form(flow, count, before[flow.name])
    )
    return [*waits, *changed]


def forms(folder: Path) -> dict[str, Form]:
    """As the last start wrote them down; empty where there was none."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=dict[str, Form])
    except FileNotFoundError:
        return {}
    except msgspec.MsgspecError as error:
        raise ParkedNowhere(
            f"{folder / FILE}: this does not say by what customers are parked ({error}). Put it back from a backup; or "
            "remove it, if neither `per` nor `enter` of any flow has changed."
        ) from None


def _no_wait(program: Program, name: str, wait: str) -> str:
    flow = program.by_name.get(name)
    if flow is None:
        return f'flow "{name}", which is gone: {_CLOSED}'
    canary = program.canaries.get(name)
    if flow.find_wait(wait) is not None or (canary is not None and canary.find_wait(wait) is not None):
        return ""
    return (
        f'flow "{name}", which has no such wait: write renamed={{"{wait}": "…"}} '
        f"with one of {', '.join(sorted(flow.after)) or 'its waits'}"
    )


def _other_form(flow: Flow[Any], count: int, before: Form) -> Iterator[str]:
    way_out = f"give the changed flow another name, and of this one {_CLOSED}"
    if flow.per.__name__ != before.per:
        yield (
            f'{count} in flow "{flow.name}", whose passages were told apart by {before.per} and now are by '
            f"{flow.per.__name__}: {way_out}"
        )
    strange = [name for name in before.enter if not _is_read(name, flow)]
    if strange:
        yield (
            f'{count} in flow "{flow.name}", some of whom {" or ".join(strange)} brought, which steps written for '
            f"{flow.enter.event.__name__} cannot read: {way_out}"
        )


def _is_read(name: str, flow: Flow[Any]) -> bool:
    kind = next((kind for kind in KINDS if kind.__name__ == name), None)
    return name == flow.enter.event.__name__ or (kind is not None and issubclass(kind, flow.enter.event))


def _form(flow: Flow[Any], inside: int, before: Form | None) -> Form:
    mine = flow.enter.event.__name__
    kept = before.enter if before is not None and inside else ()
    return Form(flow.per.__name__, (*(name for name in kept if name != mine), mine))


def _inside(parked: Parked, flow: str) -> int:
    return sum(count for (name, _), count in parked.items() if name == flow and count > 0)
