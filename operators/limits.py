"""How many marketing messages a customer may get: of all kinds, of a channel, on a topic, from a flow.

A limit is a value; it counts what stands in `Customer.sent`, from which a message that ended unsent is taken out again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from operators.faults import FlowError
from state.customer import Sent

SENT_MAX = 64
_MONTH_MS = 30 * 86_400_000

Of = Literal["", "channel", "topic", "flow"]


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` messages in any `period` (milliseconds), of those it is about: all, where `of` is empty."""

    count: int
    period: int
    of: Of = ""
    name: str = ""

    def covers(self, sent: Sent) -> bool:
        return not self.of or getattr(sent, self.of) == self.name

    def counted(self, sent: Iterable[Sent], moment: int) -> int:
        """How many it covers of those sent in the period that ends with this moment."""
        since = moment - self.period
        recent = [each for each in sent if since < each.at <= moment]
        return len(recent) if not self.of else sum(map(self.covers, recent))


def at_most(count: int, *, per: timedelta) -> Limit:
    """A flow's own cap: `cap=at_most(1, per=days(30))`."""
    if count < 1 or per <= timedelta(0):
        raise FlowError(
            f"at_most({count}, per={per}) lets nothing through. Name at least one message and a period; "
            "to silence a flow, stop it."
        )
    return Limit(count, round(per.total_seconds() * 1000))


def that_cover(limits: Iterable[Limit], flow: str, channel: str, topic: str) -> tuple[Limit, ...]:
    """The limits that a message of this flow, channel and topic counts against."""
    message = Sent(0, "", flow, channel, topic)
    return tuple(limit for limit in limits if limit.covers(message))


def remembered(sent: Sequence[Sent], limits: Iterable[Limit], moment: int) -> list[Sent]:
    """What need not be forgotten yet: as many as each limit may still count, and the latest of a month.

    No limit lets more through than it counts, so this is all that limits of today can ask for; the latest of
    a month are for those of tomorrow.
    """
    month = moment - _MONTH_MS
    if len(sent) <= SENT_MAX and min([each.at for each in sent], default=moment) > month:
        return [*sent]
    needed = {place for place in range(max(0, len(sent) - SENT_MAX), len(sent)) if sent[place].at > month}
    for limit in limits:
        since, left = moment - limit.period, limit.count
        for place in range(len(sent) - 1, -1, -1):
            if not left:
                break
            if sent[place].at > since and limit.covers(sent[place]):
                needed.add(place)
                left -= 1
    return [each for place, each in enumerate(sent) if place in needed]
