"""Customers who live in shards of their own and speak by words, without stores: what two ids of one customer come to.

Everything comes in order of time, and every word arrives at once; what may die, and what may come late, is played by
`tests.simulation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from operators.aliasing import announce, in_order
from operators.breaker import NeverStops
from operators.crossing import learn
from operators.effects import Effects
from operators.engine import Arrived, Engine
from operators.flow import Flow
from operators.guards import Rules
from operators.joining import claim_of, is_new
from operators.program import Program
from operators.windows import Window
from state import event_codec
from state.claims import claimed
from state.customer import Customer
from state.decisions import Cause, Decision
from state.decode import Decoder, Rejected
from state.ids import Ids
from state.instants import format_instant
from state.words import AnyWord, Claim, Forward, Merge, Refusal, key_of

IDS = Ids(b"street")
Json = dict[str, Any]


class Street:
    """`happens` takes events as a tracker sends them; `decided`, `words` and `who` tell what came of it."""

    def __init__(self, flows: Sequence[Flow[Any]] = (), windows: Sequence[Window] = ()) -> None:
        self.program = Program(flows, windows)
        self._engine = Engine(
            self.program, Rules(), IDS, breaker=NeverStops(), clock="replay", sends=False, links="log"
        )
        self._decoder = Decoder("PLN")
        self._customers: dict[str, Customer] = {}
        self._held: dict[str, list[Arrived]] = {}
        self._clock = 0
        self._offset = 0
        self.decided: list[Decision] = []
        self.words: list[AnyWord] = []

    def who(self, name: str) -> Customer:
        return self._customers.setdefault(name, Customer(id=name))

    def happens(self, at: int, body: Json, **ids: str) -> None:
        """`userId`, `anonymousId` or both; nothing is due before this moment that has not been woken."""
        self.clock_at(at)
        self.comes(at, body, **ids)

    def comes(self, at: int, body: Json, offset: int = 0, /, **ids: str) -> None:
        """An event is read, and the clock stays where it is; its place in the log is the next one, or this."""
        self._offset = offset = offset or self._offset + 1
        whole = {"messageId": f"m{offset}", **body, **ids, "timestamp": format_instant(at)}
        raw, key = msgspec.json.encode(whole), (ids.get("userId") or ids["anonymousId"]).encode()
        cause = Cause("street", 0, offset)
        event = self._decoder.decode(raw, key=key, topic="street", partition=0, offset=offset, now=at)
        assert not isinstance(event, Rejected), event
        if anonymous := claimed(raw, key):
            announce(self.who(anonymous), event.customer, claim_of(event.customer, anonymous, cause, IDS), at)
        customer = self.who(event.customer)
        if not customer.known:
            learn(customer, raw)
        self._take(customer, Arrived(event, cause))

    def reads(self, *words: AnyWord) -> None:
        """What others said before they were put back, as it stands in the log."""
        for word in words:
            self._hear(word)

    def clock_at(self, at: int) -> None:
        """Everything before this moment has been read."""
        self._clock = max(self._clock, at)
        for name in list(self._customers):
            self._wake(name)

    def refused(self) -> list[tuple[str, str, str]]:
        return [(word.known, word.anonymous, word.reason) for word in self.words if isinstance(word, Refusal)]

    def claims(self) -> int:
        return sum(isinstance(word, Claim) for word in self.words)

    def merges(self) -> list[tuple[str, str]]:
        """Who took in what was known of whom."""
        return [(word.known, word.anonymous) for word in self.words if isinstance(word, Merge) and word.state]

    def _take(self, customer: Customer, arrived: Arrived) -> None:
        effects = Effects()
        if self._engine.on_event(customer, arrived, arrived.event.at, effects) == "held":
            held = self._held.setdefault(customer.id, [])
            held.append(arrived)
            held.sort(key=lambda each: (each.event.at, each.cause.offset))
        self._follow(effects)

    def _wake(self, name: str) -> None:
        effects = Effects()
        held = self._held.setdefault(name, [])
        applied = self._engine.wake(self.who(name), self._clock, self._clock, effects, held)
        del held[:applied]
        self._follow(effects)

    def _follow(self, effects: Effects) -> None:
        assert effects.faults == []
        self.decided += effects.decisions
        in_order(effects)
        for word in effects.words:
            self.words.append(word)
            self._hear(word)

    def _hear(self, word: AnyWord) -> None:
        customer = self.who(key_of(word).decode())
        if isinstance(word, Forward):
            if is_new(customer, word):
                event, cause = event_codec.decode(word.value), Cause(word.topic, word.partition, word.offset)
                self._take(customer, Arrived(event, cause))
            return
        answer = Effects()
        self._engine.meeting.take(customer, word, answer)
        self._follow(answer)
        self._wake(customer.id)


def track(event: str, **properties: Any) -> Json:
    return {"type": "track", "event": event, "properties": properties}


def identify(**traits: str) -> Json:
    return {"type": "identify", "traits": traits}
