"""Who is in which arm of which experiment, and who is held out: by keyed hashes of the customer, and for good.

An arm is drawn once and then kept with the customer, with the probability it had: whoever edits the shares changes
what newcomers get, and moves nobody.  A holdout is not kept but looked up: with more percent, some more are
held out, with less, some fewer, and nobody else moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from operators.faults import FlowError
from operators.steps import Arm, Experiment
from state.customer import Assigned, Customer
from state.ids import Ids

ARMS_MAX = 64
HOLDOUT = "holdout"
HELD_OUT, TREATED = "held_out", "treated"


class Drawn(msgspec.Struct, frozen=True, gc=False):
    """An arm that a customer got for the first time, and the shares of all arms then."""

    experiment: str
    arm: str
    propensity: float
    shares: tuple[tuple[str, float], ...]


class Choice(NamedTuple):
    """What a decision says of experiments; empty where none was involved."""

    experiment: str = ""
    arm: str = ""
    propensity: float | None = None


def arm_for(step: Experiment[Any], customer: Customer, ids: Ids, drawn: dict[str, Drawn]) -> tuple[Arm[Any], float]:
    """Her arm, and how probable it was; what she had not got before is put into `drawn`."""
    before = customer.arms.get(step.name) or drawn.get(step.name)
    kept = next((arm for arm in step.arms if arm.name == before.arm), None) if before else None
    if kept is not None and before is not None:
        return kept, before.propensity
    # Those of an arm that was taken out are spread anew, not all given to one neighbour.
    again = (before.arm,) if before else ()
    arm = _draw(step.arms, ids.share("experiment", step.name, customer.id, *again))
    drawn[step.name] = Drawn(step.name, arm.name, arm.percent / 100, shares(step))
    return arm, arm.percent / 100


def assigned(arms: Mapping[str, Assigned], drawn: tuple[Drawn, ...], moment: int) -> dict[str, Assigned]:
    """What is kept with a customer: those assigned last, where there are too many."""
    kept = {**arms, **{each.experiment: Assigned(each.arm, each.propensity, moment) for each in drawn}}
    latest = sorted(kept, key=lambda name: kept[name].at)[-ARMS_MAX:]
    return {name: kept[name] for name in kept if name in latest} if len(kept) > ARMS_MAX else kept


def shares(step: Experiment[Any]) -> tuple[tuple[str, float], ...]:
    return tuple((arm.name, arm.percent) for arm in step.arms)


def is_held_out(ids: Ids, customer: str, percent: float, *flow: str) -> bool:
    """Of the whole shop's holdout, or of one flow's."""
    return percent > 0 and share(ids, customer, *flow) < percent


def share(ids: Ids, customer: str, *flow: str) -> float:
    """Where in [0, 100) she is: held out below the percentage."""
    return ids.share(HOLDOUT, customer, *flow) * 100


def holdout_of(flow: str) -> str:
    """The experiment by whose name decisions know a flow's own holdout."""
    return f"{HOLDOUT}:{flow}"


def choice(ids: Ids, customer: str, chosen: Choice, everywhere: float, flow: str, in_flow: float) -> Choice:
    """What a decision about a marketing message says: the holdout that holds her out, else the arm that a flow chose,
    else that she is one of those whom a holdout is compared with."""
    if is_held_out(ids, customer, everywhere):
        return Choice(HOLDOUT, HELD_OUT, everywhere / 100)
    if is_held_out(ids, customer, in_flow, flow):
        return Choice(holdout_of(flow), HELD_OUT, in_flow / 100)
    if chosen.experiment or not (in_flow or everywhere):
        return chosen
    if in_flow:
        return Choice(holdout_of(flow), TREATED, (100 - in_flow) / 100)
    return Choice(HOLDOUT, TREATED, (100 - everywhere) / 100)


def check_name(place: str, name: str) -> None:
    """Raises `FlowError` for a name that decisions give to holdouts."""
    if name == HOLDOUT or name.startswith(f"{HOLDOUT}:"):
        raise FlowError(
            f'{place}: decisions call holdouts "{name}". Give the experiment another name, or write '
            "holdout_percent= in the flow."
        )


def _draw(arms: tuple[Arm[Any], ...], share: float) -> Arm[Any]:
    """The arm whose slice of [0, 100) holds this share."""
    reached = 0.0
    for arm in arms:
        reached += arm.percent
        if share * 100 < reached:
            return arm
    return next(arm for arm in reversed(arms) if arm.percent > 0)  # the shares add up to almost 100
