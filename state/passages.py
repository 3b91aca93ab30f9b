"""Where customers rest inside flows, and the messages that are not settled yet.

Both are replaced, never changed in place, so that a transition that fails can be taken back.
"""

from __future__ import annotations

import msgspec

from state.messages import Channel, Kind

NEVER = 1 << 62
PASSAGES_MAX = 500  # of one customer; some order ten times a day, and each order has a passage

EVENT_CLOCK = 0
WALL_CLOCK = 1


class Chosen(msgspec.Struct, gc=False, array_like=True, frozen=True):
    """The arm of an experiment or a choice that a passage came into, and how probable that was.

    Of a choice also the number of the shares it was drawn by (0: the flow's own), and the conditions that held.
    """

    experiment: str
    arm: str
    propensity: float
    shares: int = 0
    context: str = ""


class Passage(msgspec.Struct, gc=False, array_like=True, kw_only=True, frozen=True):
    """A customer inside a flow: the whole of what the flow remembers.

    She rests at `wait` until `until` (event time).  `event` is the event that brought her, as
    `state.event_codec` bytes: it is read when she is woken, not on every visit.
    """

    flow: str
    subject: str
    id: str
    wait: str
    until: int
    entered_at: int
    event: bytes
    set_aside: bool = False  # the flow's own code failed here; she rests until its dead letter is replayed
    look_again: int = 0  # her flow was stopped: not woken before this moment
    chosen: Chosen | None = None  # the arm she came through last


class Pending(msgspec.Struct, gc=False, array_like=True, kw_only=True, frozen=True):
    """A message that was decided and is not settled: put off by a guard, or handed to a courier.

    `due` is when it is looked at again, by `clock`.  `at` is the moment it was first decided.  `attempt`
    is the last one handed to a courier, 0 before the first; `decisions` counts those about it so far.
    """

    message_id: str
    flow: str
    subject: str
    passage: str
    entered_at: int
    step: str
    wait: str
    template: str
    event: bytes
    at: int
    decisions: int
    due: int
    clock: int = EVENT_CLOCK
    awaiting: bool = False  # a courier has it: nothing is decided before its result is read
    attempt: int = 0
    refusals: int = 0
    left: bool = False  # she left the passage: let the attempt under way end, then no more
    experiment: str = ""
    arm: str = ""
    propensity: float | None = None
    address: str = ""
    why: str = ""  # the reason it was put off
    set_aside: bool = False  # the flow's own code failed here; it rests until its dead letter is replayed
    otherwise: tuple[tuple[str, str], ...] = ()  # what to send instead, best first: template and step
    instead_of: str = ""  # the id of the message in whose place this one is
    channel: Channel = "email"
    kind: Kind = "marketing"
    shares: int = 0  # of a choice: the number of the shares it was drawn by
    context: str = ""  # and the conditions that held
