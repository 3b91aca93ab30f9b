"""Who claims whom: an `identify` or `alias` that names an anonymous id beside the customer's own.

Sources ask this of every record as it came, shards of the event it became; both must say the same, since the one
gives the record to the shard of the anonymous id and the other answers there.
"""

from __future__ import annotations

import msgspec

from state.events import Aliased, Event, Identified
from state.fields import identifier

CLAIMS = frozenset({Identified, Aliased})

# What trackers send where they know of nobody.
_NOBODY = frozenset(
    {
        *("null", "undefined", "none", "nil", "nan", "n/a", "na", "(not set)", "not set", "not_set", "empty"),
        *("0", "-1", "true", "false", "[object object]", "{}", "[]", "%s"),
        *("anonymous", "anonymous_id", "anonymousid", "anon", "guest", "unknown", "visitor", "not_authenticated"),
        *("id", "userid", "user_id", "user", "email", "distinct_id", "distinctid", "customer", "test"),
    }
)
_BACKSLASH = ord("\\")
_DIGITS_OF_NOBODY = ({"0"}, {"f"}, {"x"})


class _Claim(msgspec.Struct, gc=False):
    type: str | None = None
    userId: str | int | None = None
    anonymousId: str | int | None = None
    previousId: str | int | None = None


class _User(msgspec.Struct, gc=False):
    userId: str | int | None = None


_decode = msgspec.json.Decoder(_Claim).decode
_decode_user = msgspec.json.Decoder(_User).decode


def is_nobody(id: str) -> bool:
    """Whether an id stands for nobody in particular, or for everybody: `null`, `undefined`, a UUID of zeros."""
    text = id.strip().casefold()
    return not text or text in _NOBODY or set(text) - {"-"} in _DIGITS_OF_NOBODY


def claimed(raw: bytes | None, key: bytes | None) -> str:
    """The anonymous id that the customer of this record claims, empty where there is none that could be claimed."""
    # Almost no record does; what is escaped may hide anything.  `find` takes half the steps of `in`.
    if raw is None or (raw.find(b'"identify"') < 0 and raw.find(b'"alias"') < 0 and not _is_escaped(raw)):
        return ""
    try:
        wire = _decode(raw)
    except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError, OverflowError):
        return ""
    user = identifier(wire.userId)
    if not user:
        return ""
    if wire.type == "identify":
        anonymous = identifier(wire.anonymousId)
    elif wire.type == "alias":
        anonymous = identifier(wire.previousId)
    else:
        return ""
    customer = key.decode("utf-8", "replace") if key else user
    if not anonymous or anonymous == customer or is_nobody(anonymous) or is_nobody(customer):
        return ""
    return anonymous


def named(event: Event) -> str:
    """The anonymous id that an event names beside its customer's own, whoever that may be; empty for none."""
    if isinstance(event, Identified):
        found = event.anonymous
    elif isinstance(event, Aliased):
        found = event.previous_id if event.by_user else ""
    else:
        return ""
    return "" if found == event.customer else found


def _is_escaped(raw: bytes) -> bool:
    return _BACKSLASH in raw and raw.find(b"\\u") >= 0


def names_a_user(raw: bytes | None) -> bool:
    """Whether a record says that its customer is known: it has a `userId`."""
    if raw is None or (raw.find(b'"userId"') < 0 and not _is_escaped(raw)):
        return False
    try:
        return bool(identifier(_decode_user(raw).userId))
    except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError, OverflowError):
        return False
