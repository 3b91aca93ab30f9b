"""What a model knows of all products at once, as bytes: how far each source is trusted, and what is popular.

Rows are kept one by one (`rows`); these two are kept whole, popularity only of the products that have some.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from operators.recommender.mixture import Key
from operators.recommender.model import CoVisitation

POPULAR_MAX = 10_000
TRUST, POPULARITY = "trust", "popularity"
_VERSION = 1


class _Trust(msgspec.Struct, array_like=True):
    version: int
    weights: list[tuple[Key, float]]


class _Popularity(msgspec.Struct, array_like=True):
    version: int
    since: int | None
    total: float
    counts: dict[str, float]


_Note = TypeVar("_Note", _Trust, _Popularity)
_encode = msgspec.msgpack.Encoder().encode


def trust_of(model: CoVisitation) -> bytes:
    return _encode(_Trust(_VERSION, list(model.trust.weights.items())))


def popularity_of(model: CoVisitation) -> bytes:
    return _encode(_Popularity(_VERSION, *model.popularity.summary(POPULAR_MAX)))


def restore(model: CoVisitation, note: Callable[[str], bytes | None]) -> None:
    """Give a model what was noted.  What cannot be read is as if it had not been: it is learnt anew in minutes."""
    trust, popularity = _read(note(TRUST), _Trust), _read(note(POPULARITY), _Popularity)
    if trust is not None:
        model.trust.weights = dict(trust.weights)
    if popularity is not None:
        model.popularity.restore(popularity.since, popularity.total, popularity.counts)


def _read(raw: bytes | None, kind: type[_Note]) -> _Note | None:
    if raw is None:
        return None
    try:
        return msgspec.msgpack.decode(raw, type=kind)
    except msgspec.MsgspecError:
        return None
