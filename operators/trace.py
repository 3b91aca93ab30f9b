"""What can be told of a customer's way through the flows: one entry for each thing that happened, or did not.

The entries are what `impuls explain` and `impuls simulate` print; `operators.tracing` writes them.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from state import events as ev
from state.carts import CartEvent
from state.catalogue import CHANGED, CatalogueChange
from state.events import Event
from state.instants import format_instant
from state.money import Money

What = Literal[
    "event",
    "duplicate",
    "held",
    "forwarded",
    "claims",
    "joined",
    "became",
    "claim_refused",
    "rejected",
    "not_taken",
    "condition",
    "arm",
    "moment",
    "entered",
    "restarted",
    "not_entered",
    "corrected",
    "left",
    "withdrawn",
    "came",
    "wait_ended",
    "looked_again",
    "parked",
    "through",
    "guard",
    "decision",
    "handed_on",
    "not_handed_on",
    "delivery",
    "given_up",
    "flow_error",
    "given_back",
    "rests",
    "note",
    "difference",
]
Stored = Literal["", "same", "differs", "missing", "no_longer_kept", "only"]


class Entry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One line of the story.  `at` is event time in milliseconds; which other fields stand depends on `what`.

    `name` is that of the event, the condition, the wait, the guard or the experiment.  `stored` says whether
    the store holds the same decision, `holds` what else it holds.
    """

    at: int
    what: What
    flow: str = ""
    subject: str = ""
    passage: str = ""
    name: str = ""
    role: str = ""
    value: bool | None = None
    verdict: str = ""
    until: int = 0
    message: str = ""
    message_id: str = ""
    decision_id: str = ""
    outcome: str = ""
    reason: str = ""
    attempt: int = 0
    topic: str = ""
    partition: int = -1
    offset: int = -1
    detail: str = ""
    stored: Stored = ""
    holds: str = ""


class Trace:
    """Entries in the order in which things happened; `at` is the moment that is being told of."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.at = 0

    def add(self, what: What, **fields: Any) -> None:
        self.entries.append(Entry(at=self.at, what=what, **fields))

    def put_before_tests(self, entry: Entry) -> None:
        """Add an entry before the conditions of the steps that follow from it, which were asked first."""
        place = len(self.entries)
        while place and _is_of_steps(self.entries[place - 1], entry.flow):
            place -= 1
        self.entries.insert(place, entry)

    def forget_repeats(self, start: int) -> None:
        """An engine may ask one condition several times about one event; once is enough to read."""
        seen: set[tuple[str, str, str, bool | None]] = set()
        kept = []
        for entry in self.entries[start:]:
            asked = (entry.flow, entry.role, entry.name, entry.value)
            if entry.what == "condition" and entry.role != "split":
                if asked in seen:
                    continue
                seen.add(asked)
            kept.append(entry)
        self.entries[start:] = kept


def _is_of_steps(entry: Entry, flow: str) -> bool:
    return entry.flow == flow and (
        entry.what in ("arm", "moment") or (entry.what == "condition" and entry.role == "split")
    )


def to_json(entry: Entry) -> bytes:
    """One JSON object, with the times as people write them."""
    fields: dict[str, Any] = msgspec.to_builtins(entry)
    fields["at"] = format_instant(entry.at)
    if entry.until:
        fields["until"] = format_instant(entry.until)
    return msgspec.json.encode(fields)


def event_name(event: Event) -> str:
    """`Product Added`, as the shop's tracker calls it; a plain event by its own name."""
    if isinstance(event, ev.Tracked):
        return event.name
    if isinstance(event, CatalogueChange):
        return CHANGED
    return re.sub(r"(?<!^)(?=[A-Z])", " ", type(event).__name__)


def event_detail(event: Event) -> str:
    """What an event was about, in a few words."""
    match event:
        case ev.ProductEvent():
            words = [
                event.product_id,
                event.name and f'"{event.name}"',
                f"× {event.quantity}" if event.quantity else "",
            ]
            words += [_money(event.price), _cart(event.cart_id)]
        case CatalogueChange():
            words = [event.product_id, "available again" if event.is_back else "", _money(event.price)]
        case ev.OrderEvent():
            count = len(event.products)
            words = [event.order_id, f"{count} product{'s' if count != 1 else ''}" if count else ""]
            words += [_money(event.total), _cart(event.cart_id)]
        case CartEvent():
            words = [_cart(event.cart_id)]
        case ev.ConsentEvent():
            words = [f"{event.channel or 'all'}/{event.topic or 'all'}", event.source and f"by {event.source}"]
        case ev.Identified():
            names = ("email", "phone", "first_name", "last_name")
            words = [", ".join(name for name in names if getattr(event, name))]
        case ev.EmailEvent():
            words = [event.kind]
        case ev.StageChanged():
            words = [event.stage]
        case ev.Paged() | ev.Screened():
            words = [event.name]
        case _:
            words = []
    return " ".join(word for word in words if word)


def _money(money: Money | None) -> str:
    return "" if money is None else f"{money.amount} {money.currency}"


def _cart(cart_id: str) -> str:
    return f"cart {cart_id}" if cart_id else ""
