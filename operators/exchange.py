"""Where the shards of a replay meet: at fixed places of the files, in rounds, until none has a word for another.

A round ends when every shard has said what it had to say.  What it brings is sorted by whom it is for and whom it is
about, so that neither the number of workers nor the batches make a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

import msgspec

from state import words
from state.words import AnyWord, is_to_anonymous, key_of

Said = tuple[bytes, str, bytes]  # whom it is for, whom it is about, the word
_Post = tuple[int, int, list[Said]]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Post).decode


class Exchange:
    """The source's end; `others` are the ends of other processes' pipes."""

    def __init__(self, shards: int, others: Sequence[Connection] = ()) -> None:
        self._shards, self._others = shards, others
        self._round = 0
        self._said: dict[int, list[Said]] = {}

    def begin(self) -> int:
        """A new round; its number goes to every shard."""
        self._round += 1
        self._said = {}
        return self._round

    def post(self, shard: int, number: int, said: Sequence[AnyWord]) -> None:
        """A shard has come to a round."""
        self._take((shard, number, _said(said)))

    def is_complete(self) -> bool:
        for other in self._others:
            while other.poll():
                self._take(_decode(other.recv_bytes()))
        return len(self._said) == self._shards

    def said(self) -> list[Said]:
        """What the round brought, in order."""
        found = [each for shard in sorted(self._said) for each in self._said[shard]]
        return sorted(found, key=lambda each: each[:2])

    def _take(self, post: _Post) -> None:
        shard, number, said = post
        assert number == self._round, "a shard speaks out of turn"
        self._said[shard] = said


def poster(pipe: Connection) -> Callable[[int, int, Sequence[AnyWord]], None]:
    """`Exchange.post` for the shards of another process."""

    def post(shard: int, number: int, said: Sequence[AnyWord]) -> None:
        pipe.send_bytes(_encode((shard, number, _said(said))))

    return post


def _said(said: Sequence[AnyWord]) -> list[Said]:
    return [
        (key_of(word), word.known if is_to_anonymous(word) else word.anonymous, words.encode(word)) for word in said
    ]
