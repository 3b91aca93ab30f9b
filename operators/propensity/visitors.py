"""Who is learnt from: visitors by a hash of their ids, what is open about each, and when each is due to be looked at.

Bounded by how many visitors there are.  When there are too many, half of all are let go, by their hashes and not by
when they came: to let go of who stays away longest would leave only those who come back, and a model that knows no
others.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import msgspec

from operators.propensity.habits import Habits

VISITORS_MAX = 100_000
QUESTIONS_MAX = 32  # open about one visitor.  Beyond it none is put: to drop old ones would drop those who come often
_HASHES = 1 << 32
NEVER = 1 << 62


class Question(msgspec.Struct, array_like=True):
    """Her habits as they were at a moment after a visit; what followed is not yet known."""

    at: int
    habits: Habits
    bought: bool = False  # since
    came: bool = False
    told_buys: bool = False  # the answer is known and learnt from
    told_stays: bool = False


class Visitor(msgspec.Struct, array_like=True):
    """One visitor.  `asked`: at how many ages of her present absence a question was put; `due`: her next moment.

    `of`: who she turned out to be, where she was anonymous; `claims`, how many said that they are her.
    """

    habits: Habits
    questions: list[Question] = []
    asked: int = 0
    due: int = NEVER
    of: bytes = b""
    claims: int = 0
    known: bool = False  # she said who she is: nobody else becomes her


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Visitor).decode


class Visitors:
    """All of them, and those that changed since they were saved."""

    def __init__(self, most: int = VISITORS_MAX, share: int = _HASHES) -> None:
        self._most, self.share = most, share
        self._all: dict[bytes, Visitor] = {}
        self._due: list[tuple[int, bytes]] = []
        self._changed: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._all)

    def get(self, who: bytes) -> Visitor | None:
        """Her, to be changed; None where she is not among those learnt from."""
        if int.from_bytes(who[:4], "big") >= self.share:
            return None
        visitor = self._all.get(who)
        if visitor is None:
            if len(self._all) >= self._most:
                self._let_go()
                return self.get(who)
            visitor = self._all[who] = Visitor(Habits())
        self._changed.add(who)
        return visitor

    def whose(self, who: bytes) -> bytes:
        """Who this visitor turned out to be, as far as that is remembered."""
        visitor = self._all.get(who)
        return visitor.of if visitor is not None and visitor.of else who

    def look_at(self, who: bytes, visitor: Visitor, due: int) -> None:
        if due != visitor.due:
            visitor.due = due
            if due != NEVER:
                heapq.heappush(self._due, (due, who))

    def all_due(self, clock: int) -> Iterator[tuple[bytes, Visitor]]:
        """Who is due at this moment or was before."""
        while self._due and self._due[0][0] <= clock:
            due, who = heapq.heappop(self._due)
            visitor = self._all.get(who)
            if visitor is not None and visitor.due == due:
                visitor.due = NEVER
                self._changed.add(who)
                yield who, visitor

    def forget(self, who: bytes) -> None:
        self._all.pop(who, None)
        self._changed.add(who)

    def to_save(self) -> dict[bytes, bytes | None]:
        """What changed; None for who is gone."""
        found = {who: self._all.get(who) for who in self._changed}
        return {who: None if visitor is None else _encode(visitor) for who, visitor in found.items()}

    def saved(self) -> None:
        self._changed.clear()

    def restore(self, who: bytes, stored: bytes) -> None:
        """What cannot be read is as if she had not come."""
        try:
            visitor = self._all[who] = _decode(stored)
        except msgspec.MsgspecError:
            return
        if visitor.due != NEVER:
            heapq.heappush(self._due, (visitor.due, who))

    def _let_go(self) -> None:
        self.share //= 2
        for who in [who for who in self._all if int.from_bytes(who[:4], "big") >= self.share]:
            self.forget(who)
        self._due = [entry for entry in self._due if entry[1] in self._all]
        heapq.heapify(self._due)
