"""Messages on their way to a customer, and what became of them: the wire forms of two topics.

`messages` carries `Message` from the shards to the couriers, `deliveries` carries `Delivery` back.
Both are keyed by customer and partitioned alike.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from state.recommendations import Wanted

MESSAGES = "messages"

Channel = Literal["email", "sms", "push", "webhook"]
Kind = Literal["marketing", "transactional"]
Result = Literal["started", "accepted", "refused", "deferred", "unknown", "no_content"]


class Message(msgspec.Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True):
    """One message to try once.

    `content` is what the template renders from: plain JSON values.  Times are milliseconds since
    1970 (UTC, wall clock).  `attempt` counts from 1; `refusals` counts definite refusals so far and
    makes, with `message_id`, the provider's idempotency key.
    """

    message_id: str
    attempt: int
    customer: str
    flow: str
    template: str
    channel: Channel
    kind: Kind
    topic: str = ""  # the consent topic of a marketing message, for its unsubscribe link
    address: str
    locale: str = ""
    time_zone: str = ""
    content: dict[str, Any] = {}
    fresh_until: int  # later than this the courier answers `deferred`, detail `stale`
    refusals: int = 0
    at_most_once: bool = False  # log `started` before the call; never call again after it
    appended_at: float = 0.0  # wall seconds when the event that caused it entered the log; for latency only
    more: tuple[str, ...] = ()  # her other addresses: a push message goes to every device of hers
    at: int = 0  # event time of the decision
    wanted: Wanted | None = None  # products that the courier is to choose, as `recommended` in the content


class Delivery(msgspec.Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True):
    """What one attempt came to.

    `at` is wall time as `YYYY-MM-DDTHH:MM:SS.mmmZ`.  `detail` is a short machine-readable word or a
    provider's answer without the address: `stale`, `busy`, `circuit_open`, `poison`, `550 5.1.1`, …
    `permanent_address` says that the address itself was refused and is to be suppressed.
    """

    message_id: str
    at: str
    attempt: int
    provider: str
    result: Result
    detail: str = ""
    permanent_address: bool = False
    retry_after_seconds: float = 0.0
    gone: tuple[str, ...] = ()  # keyed hashes of addresses that nobody has any more
    took_ms: float = 0.0  # since the event entered the log, where its message was due at once
    shown: tuple[str, ...] = ()  # products that were recommended in a message that arrived, or may have
