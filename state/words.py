"""What shards say to each other about aliases: the wire form of the topic `internal`.

Beside these, the topic carries dead letters that are given back, as JSON; a word is msgpack, which never begins so.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from state.aliases import Refused

Kind = Literal["event", "delivery", "letter"]


class Word(msgspec.Struct, gc=False, frozen=True, array_like=True, kw_only=True):
    """`known` and `anonymous` are the two ids it is about; `claim` is the id of the claim, the same on every run."""

    known: str
    anonymous: str
    claim: str = ""
    at: int = 0


class Claim(Word, frozen=True, kw_only=True, array_like=True, tag="claim"):
    """To the anonymous one: you are known from this moment (event time) on."""


class Waiver(Word, frozen=True, kw_only=True, array_like=True, tag="waiver"):
    """To the anonymous one: nobody claims you, though an event looked like it."""


class Refusal(Word, frozen=True, kw_only=True, array_like=True, tag="refusal"):
    """To the known one: no."""

    reason: Refused


class Merge(Word, frozen=True, kw_only=True, array_like=True, tag="merge"):
    """To the known one: all that was known of you before, in parts.

    `told`: what she did before this moment has been read, and what was forwarded of it stands before this.
    `forwarded`: how far, by `Forward.place`.
    """

    told: int = 0
    part: int = 0
    parts: int = 1
    state: bytes = b""
    digest: int = 0  # of the whole
    forwarded: dict[str, int] = {}


class Received(Word, frozen=True, kw_only=True, array_like=True, tag="received"):
    """To the anonymous one: what was known of you is here, and will not be taken again."""


class Forward(Word, frozen=True, kw_only=True, array_like=True, tag="forward"):
    """To the known one: a record that came for you under another name, and its place in the log.

    `since`: the moment of the claim, where the merge that answers it stands behind this.
    """

    kind: Kind
    topic: str
    partition: int
    offset: int
    value: bytes
    appended_at: float = 0.0
    since: int = 0

    @property
    def place(self) -> str:
        """The partition it came by, as far as it is about this claim."""
        return f"{self.claim[:8]}/{self.topic}/{self.partition}"


class Ask(Word, frozen=True, kw_only=True, array_like=True, tag="ask"):
    """To the anonymous one: say when you have been read up to `at`."""


class Told(Word, frozen=True, kw_only=True, array_like=True, tag="told"):
    """To the known one: read up to `at`; `ended` when there is nothing more to come."""

    ended: bool = False


AnyWord = Claim | Waiver | Refusal | Merge | Received | Forward | Ask | Told

encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[AnyWord] = msgspec.msgpack.Decoder(AnyWord)


def decode(raw: bytes) -> AnyWord:
    """Raises `msgspec.MsgspecError` for bytes that are no word of this version."""
    return _decoder.decode(raw)


def is_word(raw: bytes | None) -> bool:
    """Whether a record of the topic is a word at all; the others are dead letters, which begin with a brace."""
    return bool(raw) and not bytes(raw or b"").startswith(b"{")


def is_to_anonymous(word: AnyWord) -> bool:
    return isinstance(word, (Claim, Waiver, Ask, Received))


def key_of(word: AnyWord) -> bytes:
    """The record key: whom it is said to."""
    return (word.anonymous if is_to_anonymous(word) else word.known).encode()
