"""What a report looks at of a customer: decisions, results, engagement and orders, cut down to what is counted.

They travel from wherever they were read to the fold over one customer by way of a sorter, so each is bytes and back.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from operators.experiments import HELD_OUT, HOLDOUT, holdout_of
from state import events as ev
from state.customer import Assigned
from state.decisions import Decision
from state.events import Event
from state.instants import parse_instant
from state.messages import Delivery

Said = Literal["completed", "updated", "cancelled", "refunded"]
What = Literal["opened", "clicked", "bounced", "complained", "unsubscribed"]


class Row(msgspec.Struct, gc=False, frozen=True, kw_only=True, array_like=True, tag="row"):
    """`at` in milliseconds; `id` is what a repetition of the same thing has in common with it."""

    at: int
    id: str


class Decided(Row, frozen=True, kw_only=True, array_like=True, tag="decided"):
    """`held`: by the holdout of the whole shop, or of this flow.  `experiment` is one of a flow's own, no holdout.
    `holdout`: the one that the decision names, whether it held her out or not, and its share then."""

    message_id: str
    flow: str
    message: str
    outcome: str
    reason: str = ""
    marketing: bool = True
    held: Literal["", "shop", "flow"] = ""
    holdout: Literal["", "shop", "flow"] = ""
    holdout_share: float = 0.0
    experiment: str = ""
    arm: str = ""
    propensity: float | None = None
    passage: str = ""
    shares: int = 0
    context: str = ""


class Drawn(Row, frozen=True, kw_only=True, array_like=True, tag="drawn"):
    """An arm a customer got, whether anything is ever sent in it or not."""

    experiment: str
    arm: str
    propensity: float


class Delivered(Row, frozen=True, kw_only=True, array_like=True, tag="delivered"):
    """A courier accepted it.  `at` is wall time, whatever clock decided."""

    message_id: str


class Engaged(Row, frozen=True, kw_only=True, array_like=True, tag="engaged"):
    message_id: str
    what: What
    url: str = ""
    user_agent: str = ""


class Ordered(Row, frozen=True, kw_only=True, array_like=True, tag="ordered"):
    """An order, or a word about one: minor units of a currency; None where none was named."""

    order_id: str
    what: Said
    minor: int | None = None
    currency: str = ""


AnyRow = Decided | Drawn | Delivered | Engaged | Ordered
_union: Any = AnyRow
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder[AnyRow](_union).decode

_ENGAGED: dict[type[Event], What] = {
    ev.EmailOpened: "opened",
    ev.EmailLinkClicked: "clicked",
    ev.EmailBounced: "bounced",
    ev.EmailMarkedAsSpam: "complained",
    ev.Unsubscribed: "unsubscribed",
}
_ORDERED: dict[type[Event], Said] = {
    ev.OrderCompleted: "completed",
    ev.OrderUpdated: "updated",
    ev.OrderCancelled: "cancelled",
    ev.OrderRefunded: "refunded",
}


def of_decision(decision: Decision) -> Decided:
    of_a_holdout = decision.experiment == HOLDOUT or decision.experiment == holdout_of(decision.flow)
    holdout: Literal["", "shop", "flow"] = ""
    share = decision.propensity or 0.0
    if of_a_holdout and decision.propensity is not None:
        holdout = "shop" if decision.experiment == HOLDOUT else "flow"
    held: Literal["", "shop", "flow"] = ""
    if decision.reason == "holdout":
        held = "flow" if decision.experiment == holdout_of(decision.flow) else "shop"
    return Decided(
        at=parse_instant(decision.at),
        id=decision.decision_id,
        message_id=decision.message_id,
        flow=decision.flow,
        message=decision.message,
        outcome=decision.outcome,
        reason=decision.reason,
        marketing=decision.kind == "marketing",
        held=held,
        holdout=holdout,
        holdout_share=round(share if decision.arm == HELD_OUT else 1 - share, 9) if holdout else 0.0,
        experiment="" if of_a_holdout else decision.experiment,
        arm="" if of_a_holdout else decision.arm,
        propensity=None if of_a_holdout else decision.propensity,
        passage=decision.passage,
        shares=decision.shares,
        context=decision.context,
    )


def of_arm(experiment: str, got: Assigned) -> Drawn:
    return Drawn(at=got.at, id=experiment, experiment=experiment, arm=got.arm, propensity=got.propensity)


def of_delivery(delivery: Delivery) -> Delivered | None:
    """None for what did not get through: the decisions that follow tell of it."""
    if delivery.result != "accepted":
        return None
    return Delivered(at=parse_instant(delivery.at), id=delivery.message_id, message_id=delivery.message_id)


def of_event(event: Event) -> Engaged | Ordered | None:
    """None for what no report counts."""
    kind = type(event)
    if kind in _ENGAGED and isinstance(event, ev.EmailEvent | ev.Unsubscribed):
        mail = event if isinstance(event, ev.EmailEvent) else None
        return Engaged(
            at=event.at,
            id=event.id,
            message_id=event.message_id,
            what=_ENGAGED[kind],
            url=mail.url if mail else "",
            user_agent=mail.user_agent if mail else "",
        )
    if kind in _ORDERED and isinstance(event, ev.OrderEvent):
        total = event.total
        return Ordered(
            at=event.at,
            id=event.id,
            order_id=event.order_id or event.id,
            what=_ORDERED[kind],
            minor=total.minor if total else None,
            currency=total.currency if total else event.currency,
        )
    return None
