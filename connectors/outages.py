"""Logging that a provider takes no messages: deliveries say why for one by one, and nobody looks there first.

Of mail servers it is logged where their connections are.
"""

from __future__ import annotations

import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from connectors.answer import Answer
from state.messages import Message

log = logging.getLogger("impuls.courier")

PLACES_MAX = 1_024  # that take no messages, and are remembered
TELL_SECONDS = 10.0  # of a provider that comes and goes not oftener than this
_PASSES = ("400", "408", "413", "422", "425", "429", "503")  # of this message, or of this moment
Place = tuple[str, str]


class Outages:
    """By provider; of webhooks by endpoint of the configuration, since addresses out of data are nobody's to mend."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._facts: OrderedDict[Place, str] = OrderedDict()  # what each said last that took nothing
        self._down: set[Place] = set()
        self._told_at = -math.inf

    def heard(self, message: Message, provider: str, answer: Answer) -> None:
        webhook = message.channel == "webhook"
        if message.channel == "email" or (webhook and "/" in message.address):
            return
        place = message.channel, message.address if webhook else provider
        if answer.result == "accepted":
            self._facts.pop(place, None)
            if place in self._down:
                self._down.discard(place)
                log.info("the provider takes messages again", extra=_named(place))
        elif answer.result in ("deferred", "unknown"):
            self._failed(place, answer.detail)

    def _failed(self, place: Place, detail: str) -> None:
        is_open = detail.endswith("circuit_open")
        fact = self._facts.get(place, detail) if is_open else detail
        self._facts[place] = fact
        if len(self._facts) > PLACES_MAX:
            self._down.discard(self._facts.popitem(last=False)[0])
        if place in self._down or not (is_open or _ours_to_mend(detail)):
            return
        if self._clock() >= self._told_at + TELL_SECONDS:
            self._down.add(place)
            self._told_at = self._clock()
            log.warning("the provider takes no messages; they wait", extra={**_named(place), "fact": fact})


def _named(place: Place) -> dict[str, str]:
    return {"channel": place[0], "endpoint" if place[0] == "webhook" else "provider": place[1]}


def _ours_to_mend(detail: str) -> bool:
    """Whether it answered, but as it does to strangers: a login refused, a path that is not there, a redirect."""
    asks_for_token = detail.startswith("oauth ")
    status = detail.removeprefix("oauth ").partition(" ")[0]
    return status.isdigit() and status[0] in "34" and (status not in _PASSES or (asks_for_token and status == "400"))
