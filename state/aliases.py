"""What a known and an anonymous customer remember of each other.

Both rest in their customers' records; fields are only ever appended, with defaults.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from state.ids import EVENT_HASH_BYTES, event_hash

CLAIMERS_MAX = 5  # more people than use one device at home: from then on it is nobody's
LINKS_MAX = 20
MERGES_MAX = 128
MARKS_MAX = 32
NOTES_MAX = 8
HEARD_MAX = 64

Refused = Literal["nobody", "known", "is_alias", "shared"]


class Link(msgspec.Struct, gc=False, array_like=True, kw_only=True):
    """An anonymous id that became this customer, or is about to.

    `at` is the moment of the claim (event time), of the last one once it was merged.  `parts` are those of the merge
    that have come; `merged` when it was taken in, at its moment.  `told`: all that was forwarded of what the id did
    before this moment has come in.  `marks`: per claim and partition of the log, how far forwarded records have come
    in.  `brought` are messages that a courier had when it was merged.
    """

    anonymous: str
    claim: str
    at: int
    merged: bool = False
    parts: dict[int, bytes] = {}
    parts_count: int = 0
    told: int = 0
    heard_at: int = 0
    ended: bool = False  # somebody else has claimed the id since
    marks: dict[str, int] = {}
    brought: list[str] = []
    digest: int = -1  # of what the parts are parts of
    again: bytes = b""  # the same merge, as a shard put back said it anew
    twice: bytes = b""  # hashes of events that were held here, and were merged

    @property
    def has_come(self) -> bool:
        return bool(self.parts_count) and len(self.parts) == self.parts_count


class Joined(msgspec.Struct, gc=False, array_like=True, kw_only=True):
    """All that a known customer has been before.  `asked`: how far her aliases were asked to have been read."""

    links: list[Link] = []
    merges: bytes = b""  # hashes of the merges that were taken in, the last ones
    asked: int = 0
    notes: dict[str, Refused] = {}  # claims that were refused: by which id, and why


class Coming(msgspec.Struct, gc=False, array_like=True, kw_only=True):
    """A claim on an anonymous id: announced by the event that makes it, and said by the customer who does."""

    known: str
    claim: str
    at: int
    is_said: bool = False


class Alias(msgspec.Struct, gc=False, array_like=True, kw_only=True):
    """Whose an anonymous id is (nobody's when `of` is empty), since which claim and moment, and who claims it next.

    `heard` are hashes of the claims that were said or waived, the last ones.  `moving` are messages of hers that a
    courier had when she was merged: message id → attempt.  `asks` are customers who must know when she has been read
    up to a moment.  `received`: who has what was known of her, by which claim; a shard put back hears of it before it
    comes to that claim.
    """

    of: str = ""
    claim: str = ""
    since: int = 0
    claimers: list[str] = []
    coming: list[Coming] = []
    moving: dict[str, int] = {}
    asks: dict[str, int] = {}
    shared: bool = False
    heard: bytes = b""
    received_by: str = ""
    received: str = ""

    def has_heard(self, claim_id: str) -> bool:
        return has_mark(self.heard, claim_id)

    def hear(self, claim_id: str) -> None:
        self.heard = with_mark(self.heard, claim_id, HEARD_MAX)


def has_mark(marks: bytes, claim_id: str) -> bool:
    mark = event_hash(claim_id)
    return any(marks[at : at + EVENT_HASH_BYTES] == mark for at in range(0, len(marks), EVENT_HASH_BYTES))


def with_mark(marks: bytes, claim_id: str, most: int) -> bytes:
    return (marks + event_hash(claim_id))[-most * EVENT_HASH_BYTES :]
