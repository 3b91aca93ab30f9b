"""What shards say to each other of one customer's ids: words out by the outbox, words in from the topic `internal`.

What a word means to a customer is in `operators.joining` and `operators.aliasing`; here it finds its customer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from operators import metrics
from operators.aliasing import announce, forward_record, in_order, is_alias
from operators.effects import Effects
from operators.engine import Arrived
from operators.inputs import INTERNAL
from operators.joining import claim_of, is_new, waive
from operators.noting import note
from state import dead_letters, event_codec, words
from state.claims import CLAIMS, claimed, named, names_a_user
from state.customer import Customer
from state.dead_letters import DeadLetter
from state.decisions import Cause
from state.decode import Rejected, peek_customer
from state.events import Event
from state.ids import shard_of
from state.messages import Delivery, Message
from state.records import Record, TopicPartition
from state.words import AnyWord, Ask, Forward, Refusal, Told, key_of

if TYPE_CHECKING:
    from operators.shard import Shard

MAY_CLAIM = CLAIMS | {Rejected}
At = tuple[TopicPartition, Record]

_delivery = msgspec.json.Decoder(Delivery).decode
_as_json = msgspec.json.Encoder().encode


class Crossing:
    """The part of a shard that speaks with others.  On replay, `words` has what it says in a `round`."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self.words: list[AnyWord] = []
        self.round = 0

    def is_mine(self, tp: TopicPartition, record: Record, event: Event | Rejected) -> bool:
        """Whether a record that may claim an anonymous id is here for the customer it is keyed by.

        Where the anonymous one lives, she is told of it.
        """
        around = self._shard.around
        anonymous = claimed(record.value, record.key)
        if not anonymous:
            return True
        known, cause = _keyed_by(record, event), Cause(tp.topic, tp.partition, record.offset)
        is_mine = self._lives_here(known)
        if not around.engine.links:
            return is_mine
        if isinstance(event, Event) and self._lives_here(anonymous):
            chash = around.ids.customer(anonymous.encode())
            entry = self._shard.residents.entry(chash, anonymous)
            effects = Effects()
            self._shard.wake_if_due(chash, entry, effects)
            note(around, entry, (tp, record), event.at)
            announce(entry.customer, known, claim_of(known, anonymous, cause, around.ids), event.at)
            self._shard.residents.dirty[chash] = entry
            self._shard.follow(chash, entry, effects, None)
        if is_mine and not (isinstance(event, Event) and named(event)):
            effects = Effects()
            waive(known, anonymous, cause, around.ids, effects)
            self.say(around.ids.customer(known.encode()), effects)
        return is_mine

    def take(self, word: AnyWord, at: At) -> None:
        if isinstance(word, Forward):
            self._take_forward(word, at)
            return
        shard, whose = self._shard, key_of(word)
        chash = shard.around.ids.customer(whose)
        entry = shard.residents.entry(chash, whose.decode())
        effects = Effects()
        shard.wake_if_due(chash, entry, effects)
        note(shard.around, entry, at, matters=not isinstance(word, (Ask, Told)))
        told = shard.around.engine.meeting.take(entry.customer, word, effects)
        if shard.clock.now is not None:
            shard.wake_customer(chash, entry, effects)
        shard.residents.dirty[chash] = entry
        shard.follow(chash, entry, effects, at)
        for delivery in told:
            shard.deliver(entry.customer.id, delivery, at)

    def say(self, chash: bytes, effects: Effects) -> None:
        in_order(effects)
        shard = self._shard
        for word in effects.words:
            if shard.around.publishes:
                shard.outbox.add(shard.batch, chash, INTERNAL, key_of(word), words.encode(word))
            else:
                self.words.append(word)
            if not isinstance(word, (Forward, Ask, Told)):
                name = type(word).__name__.lower()
                metrics.CLAIMS.inc(f"refused_{word.reason}" if isinstance(word, Refusal) else name)
        for reason in effects.refused:
            metrics.CLAIMS.inc(f"refused_{reason}")

    def spoken(self) -> tuple[int, list[AnyWord]] | None:
        """The round it has come to and what it says there, once."""
        if not self.round:
            return None
        number, said = self.round, self.words
        self.round, self.words = 0, []
        return number, said

    def _take_forward(self, word: Forward, at: At) -> None:
        shard, known = self._shard, word.known
        if word.kind == "delivery":
            shard.deliver(known, _delivery(word.value), at)
            return
        chash = shard.around.ids.customer(known.encode())
        entry = shard.residents.entry(chash, known)
        shard.residents.dirty[chash] = entry
        if not is_new(entry.customer, word):
            return
        if word.kind == "letter":
            letter = dead_letters.from_json(word.value)
            shard.give_back(msgspec.structs.replace(letter, customer=known), at)
            return
        event = event_codec.decode(word.value)
        arrived = Arrived(event, Cause(word.topic, word.partition, word.offset), word.appended_at)
        shard.arrive(chash, entry, arrived, at)
        shard.fanout.reach_again(chash, entry, arrived)

    def _lives_here(self, customer: str) -> bool:
        around = self._shard.around
        return shard_of(around.ids.customer(customer.encode()), around.shards) == self._shard.number


def forward_delivery(customer: Customer, delivery: Delivery, at: At, effects: Effects) -> None:
    """A courier's result about a message of hers from when she was anonymous."""
    assert customer.alias is not None
    if delivery.result != "started":
        customer.alias.moving.pop(delivery.message_id, None)
    forward_record(customer, "delivery", _as_json(delivery), at[0], at[1].offset, effects)


def forward_letter(customer: Customer, letter: DeadLetter, at: At, effects: Effects) -> None:
    forward_record(customer, "letter", dead_letters.to_json(letter), at[0], at[1].offset, effects)


def is_moving(customer: Customer, message: Message) -> bool:
    """Whether a message was on its way when its customer became another, and nobody has told its result."""
    alias = customer.alias
    return alias is not None and alias.moving.get(message.message_id) == message.attempt


def learn(customer: Customer, raw: bytes | None) -> None:
    """Who is named by a `userId` is known, for ever; but for an alias, which is known by another."""
    if not is_alias(customer) and names_a_user(raw):
        customer.known = True


def _keyed_by(record: Record, event: Event | Rejected) -> str:
    if isinstance(event, Event):
        return event.customer
    return (record.key or peek_customer(record.value) or b"").decode("utf-8", "replace")
