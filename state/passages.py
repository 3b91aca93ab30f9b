"""Where customers rest inside flows, and the messages that are not settled yet."""

from __future__ import annotations

import msgspec

NEVER = 1 << 62

EVENT_CLOCK = 0
WALL_CLOCK = 1


class Passage(msgspec.Struct, array_like=True, kw_only=True):
    """A customer inside a flow: the whole of what the flow remembers.

    She rests at `wait` until `until`; an empty `wait` means that she is through all steps and stays
    only while one of her messages can still be withdrawn.  `event` is the event that brought her, as
    `state.codec`-free msgpack bytes: it is read when she is woken, not on every visit.
    """

    flow: str
    subject: str
    id: str
    wait: str
    until: int
    entered_at: int
    event: bytes
    set_aside: bool = False  # the flow's own code failed here; waits for its dead letter to be replayed


class Pending(msgspec.Struct, array_like=True, kw_only=True):
    """A message that was decided and is not settled: put off by a guard, or handed to a courier.

    `due` is when it is looked at again, by `clock`.  `attempt` is the last one handed to a courier, 0
    before the first; `decisions` counts the decisions about it so far.
    """

    message_id: str
    flow: str
    passage: str
    step: str
    template: str
    event: bytes
    at: int
    decisions: int
    due: int
    clock: int = EVENT_CLOCK
    awaiting: bool = False
    attempt: int = 0
    refusals: int = 0
    left: bool = False  # she left the passage: let the attempt under way end, then no more
    experiment: str = ""
    arm: str = ""
    propensity: float | None = None
    address: str = ""
    wait: str = ""
