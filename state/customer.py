"""What we remember about a customer: one record, read and written as one.

The record is mutable because the shard that owns it is its only writer; flows get to read it.
Fields are only ever appended, with defaults, so that old bytes stay readable.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from state.aliases import Alias, Joined
from state.arrivals import Arrivals
from state.carts import Cart
from state.ids import EVENT_HASH_BYTES
from state.messages import Delivery
from state.orders import Order
from state.passages import NEVER, Passage, Pending
from state.products import Interest
from state.recommendations import Shown

RECENT_IDS_MAX = 256
CARTS_MAX = 20
EARLY_RESULTS_MAX = 512
_RECENT_BYTES_MAX = RECENT_IDS_MAX * EVENT_HASH_BYTES


class Consent(msgspec.Struct, gc=False, array_like=True):
    """The latest word on one channel and topic; `id` is the event that is the proof."""

    granted: bool
    at: int
    id: str
    grants: int = 0


class Sent(msgspec.Struct, gc=False, array_like=True, frozen=True):
    """A marketing message that counts against caps and gaps, until it turns out that it ended unsent."""

    at: int
    message_id: str
    flow: str = ""
    channel: str = ""
    topic: str = ""


class Assigned(msgspec.Struct, gc=False, array_like=True, frozen=True):
    """The arm of an experiment that she got, how probable that was, and when."""

    arm: str
    propensity: float
    at: int


class Aside(msgspec.Struct, gc=False, array_like=True, frozen=True):
    """What a flow in the shadow would have sent and drawn, had it been the present version."""

    sent: list[Sent] = []
    told: dict[str, int] = {}
    arms: dict[str, Assigned] = {}


class Traits(msgspec.Struct, gc=False, array_like=True):
    """What the shop told us of her, each with the time it was said."""

    email: str = ""
    phone: str = ""
    first_name: str = ""
    last_name: str = ""
    locale: str = ""
    time_zone: str = ""
    at: int = 0
    locale_at: int = 0
    time_zone_at: int = 0


class Customer(msgspec.Struct, gc=False, array_like=True, kw_only=True):
    """One customer."""

    id: str
    first_seen: int = 0
    last_seen: int = 0
    events: int = 0
    recent: bytes = b""
    traits: Traits = msgspec.field(default_factory=Traits)
    consents: dict[str, Consent] = {}
    suppressed: dict[str, str] = {}  # hash of an address → why
    carts: dict[str, Cart] = {}
    orders: int = 0
    first_order_at: int = 0
    last_order_at: int = 0
    unmatched_order_at: int = 0  # of an order that closed no cart we knew of
    windows: dict[str, Any] = {}
    passages: list[Passage] = []
    pending: list[Pending] = []
    sent: list[Sent] = []
    early_results: list[Delivery] = []  # results read before the message was decided (a shard put back)
    held: int = 0  # how many of her events wait for a wake
    event_timer: int = NEVER  # as it stands in the store
    wall_timer: int = NEVER
    stage: str = ""
    devices: dict[str, int] = {}  # push token → when it was registered last
    last_added_at: int = 0  # when something was put in a cart
    interests: dict[str, Interest] = {}  # products by id, the one touched last at the end
    told: dict[str, int] = {}  # when each message (by template) was last decided to be sent
    arms: dict[str, Assigned] = {}  # by experiment
    known: bool = False  # some event had her id as a userId: she is never taken for an anonymous one
    joined: Joined | None = None  # the anonymous ids that became her
    alias: Alias | None = None  # whose she is, where she was anonymous
    orders_by_id: dict[str, Order] = {}  # the one told of last at the end
    bought: dict[str, list[int]] = {}  # when each product was ordered, the one ordered last at the end
    aside: dict[str, Aside] = {}  # by the name of a flow in the shadow
    unindexed: list[str] = []  # products whose row in the index of who waits for what is to be written, or to go
    changes_heard: int = 0  # the number of the last news of the catalogue in this shard that she was asked about
    shown: dict[str, Shown] = {}  # products that messages recommended, until she comes to them
    woken: int = 0  # the latest moment (event time) of those waits of hers that ended
    arrivals: Arrivals | None = None  # in which order her inputs came, as far as the log does not tell

    def consent(self, channel: str, topic: str) -> Consent | None:
        return self.consents.get(f"{channel}/{topic}")

    @property
    def first_name(self) -> str:
        return self.traits.first_name

    def cart(self, cart_id: str) -> Cart | None:
        return self.carts.get(cart_id)

    def was_told(self, template: str, since: int) -> bool:
        """Whether this message was decided to be sent to her after this moment, or is put off."""
        return self.told.get(template, 0) > since or any(
            each.template == template and not each.awaiting for each in self.pending
        )

    def bought_since(self, product: str, since: int) -> bool:
        """Whether she ordered a product at this moment or later."""
        return product in self.bought and self.bought[product][-1] >= since

    def undid(self, order_id: str, since: int) -> bool:
        """Whether this order was cancelled or refunded at this moment or later, as far as we were told."""
        order = self.orders_by_id.get(order_id)
        return order is not None and order.undone_at >= since

    def has_seen(self, event_hash: bytes) -> bool:
        """Whether an event with this hash is among the recent ones."""
        recent = self.recent
        found = recent.find(event_hash)
        while found != -1 and found % EVENT_HASH_BYTES:
            found = recent.find(event_hash, found + 1)
        return found != -1

    @property
    def recent_hashes(self) -> list[bytes]:
        """Of the events that she is known to have had, the oldest first."""
        return [self.recent[at : at + EVENT_HASH_BYTES] for at in range(0, len(self.recent), EVENT_HASH_BYTES)]

    @property
    def has_forgotten_events(self) -> bool:
        """Whether `has_seen` may say no of an event that she had long ago."""
        return len(self.recent) >= _RECENT_BYTES_MAX

    def forget(self, event_hashes: Iterable[bytes]) -> None:
        """No event with one of these hashes has been seen."""
        gone = set(event_hashes)
        self.recent = b"".join(each for each in self.recent_hashes if each not in gone)

    def remember(self, event_hash: bytes) -> None:
        recent = self.recent + event_hash
        self.recent = recent if len(recent) <= _RECENT_BYTES_MAX else recent[-_RECENT_BYTES_MAX:]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Customer)

encode = _encoder.encode
decode = _decoder.decode
