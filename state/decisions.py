"""What was decided about a message, and why: the record behind every send and every silence.

A decision is made once, in the customer's shard, and never changes.  Delivery is told apart from it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from state.instants import format_instant
from state.messages import Channel, Kind

Outcome = Literal["send", "skip", "defer", "replace"]
Reason = Literal[
    "",
    "flow_stopped",
    "no_address",
    "no_consent",
    "suppressed",
    "holdout",
    "cap",
    "min_gap",
    "arbitration",
    "quiet_hours",
    "expired",
    "no_content",
    "retry",
    "stale",
    "refused",
]


class Cause(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    """What led to a decision: an event, by its place in the log, or a wait or deferral that ended."""

    topic: str = ""
    partition: int = -1
    offset: int = -1
    timer: str = ""
    due: str = ""


class Decision(msgspec.Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True):
    """One decision, with the field names that the topic, the files and the commands show.

    `at` and `until` are `YYYY-MM-DDTHH:MM:SS.mmmZ`.
    """

    decision_id: str
    message_id: str
    at: str
    customer: str
    flow: str
    flow_version: str
    passage: str
    step: str
    message: str
    channel: Channel
    kind: Kind
    outcome: Outcome
    reason: Reason = ""
    until: str = ""
    cause: Cause | None = None
    experiment: str = ""
    arm: str = ""
    propensity: float | None = None
    consent_id: str = ""
    stalled: bool = False
    replaced_by: str = ""  # of a replacement: the message that is tried instead
    instead_of: str = ""  # the id of the message in whose place this one is
    shares: int = 0  # of a choice: the number of the shares it was drawn by, 0 for the flow's own
    context: str = ""  # of a choice: the conditions that held, by name


def timer_cause(wait: str, due: int) -> Cause:
    return Cause(timer=wait, due=format_instant(due))


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Decision)


def to_json(decision: Decision) -> bytes:
    return _encoder.encode(decision)


def from_json(raw: bytes) -> Decision:
    return _decoder.decode(raw)
