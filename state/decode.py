"""The one bounded decoder for every door: bytes in, a typed event or the reason why not out.

It never raises and never echoes what it read: an error text goes to logs and operators, the bytes go
to the dead letters.  `state.properties` knows what each kind of event carries.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import msgspec

from state.catalogue import CATALOGUE, CHANGED, TOLD_TO_ALL
from state.events import Event
from state.fields import ID_CHARS_MAX, BadField, identifier
from state.instants import NaiveInstant, format_instant, parse_instant
from state.properties import CALLS, TRACKS, Common, device_token, known_zone, plain_track

SIZE_MAX = 32 * 1024
DEPTH_MAX = 32
OLDEST = 946_684_800_000  # 2000-01-01: what claims to be older comes from a clock that was never set
AHEAD_MAX = 24 * 3600 * 1000


Maker = Callable[[msgspec.Raw, Common, Any], Event]


class Rejected(NamedTuple):
    """Why a record is not an event: a stable word, and a sentence for people."""

    reason: str
    error: str


class _Context(msgspec.Struct, gc=False):
    timezone: Any = None
    locale: Any = None
    device: Any = None
    userAgent: Any = None


class _Wire(msgspec.Struct, gc=False):
    type: str | None = None
    event: str | None = None
    messageId: str | int | None = None
    userId: str | int | None = None
    anonymousId: str | int | None = None
    timestamp: str | None = None
    originalTimestamp: str | None = None
    context: _Context | None = None
    traits: msgspec.Raw = msgspec.Raw(b"{}")
    properties: msgspec.Raw = msgspec.Raw(b"{}")
    previousId: str | int | None = None
    groupId: str | int | None = None
    name: str | None = None


class _Ids(msgspec.Struct, gc=False):
    userId: str | int | None = None
    anonymousId: str | int | None = None


class _Time(msgspec.Struct, gc=False):
    timestamp: str | None = None
    originalTimestamp: str | None = None


class _Peek(msgspec.Struct, gc=False):
    timestamp: str | None = None
    originalTimestamp: str | None = None
    userId: str | int | None = None
    anonymousId: str | int | None = None


_decode_peek = msgspec.json.Decoder(_Peek).decode
_NOTHING = msgspec.Raw(b"{}")
_decode_wire = msgspec.json.Decoder(_Wire).decode
_decode_ids = msgspec.json.Decoder(_Ids).decode
_decode_time = msgspec.json.Decoder(_Time).decode
_FAULTS = (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError, OverflowError)


class Decoder:
    """Decodes the records of one deployment.  `default_currency` serves where an event names none."""

    def __init__(self, default_currency: str) -> None:
        self._currency = default_currency

    def decode(
        self,
        raw: bytes | None,
        *,
        key: bytes | None,
        topic: str,
        partition: int,
        offset: int,
        now: int,
        clock: Literal["live", "replay"] = "live",
    ) -> Event | Rejected:
        """The event in a record.

        `now` is wall time in milliseconds, on replay the wall time at which the replay started.  Live,
        an event from the next 24 hours counts as now.
        """
        if raw is None or not raw:
            return Rejected("empty", "the record has no value")
        if len(raw) > SIZE_MAX:
            return Rejected("too_large", f"the record has {len(raw)} bytes, at most {SIZE_MAX} are read")
        if too_deep(raw):
            return Rejected("too_deep", f"the record nests more than {DEPTH_MAX} levels")
        try:
            wire = _decode_wire(raw)
        except _FAULTS as error:
            return _not_decoded(error)
        at = _event_time(wire, now, clock)
        if isinstance(at, Rejected):
            return at
        make = _maker(wire)
        if isinstance(make, Rejected):
            return make
        customer: str | Rejected
        if wire.event == CHANGED and wire.type == "track" and topic in TOLD_TO_ALL:
            customer = ""
        else:
            customer = (customer_key(key) if topic != CATALOGUE else None) or _customer(wire)
        if isinstance(customer, Rejected):
            return customer
        event_id = identifier(wire.messageId)
        if event_id is None:
            return Rejected(
                "bad_field", f"messageId is longer than {ID_CHARS_MAX} characters or has control characters"
            )
        context = wire.context
        locale = time_zone = device = ""
        if context is not None:
            locale = context.locale if isinstance(context.locale, str) and len(context.locale) <= 35 else ""
            time_zone = known_zone(context.timezone) if context.timezone is not None else ""
            device = device_token(context.device) if context.device is not None else ""
        common = Common(
            event_id or f"{topic}-{partition}-{offset}", customer, at, locale, time_zone, self._currency, device
        )
        body = wire.traits if wire.type == "identify" else wire.properties
        found = _made(make, body, common, wire)
        if isinstance(found, Rejected) and bytes(body) == b"null":
            return _made(make, _NOTHING, common, wire)  # what some trackers say where there is nothing to say
        return found


def _made(make: Maker, body: msgspec.Raw, common: Common, wire: _Wire) -> Event | Rejected:
    try:
        return make(body, common, wire)
    except BadField as error:
        return Rejected("bad_field", str(error))
    except _FAULTS as error:
        return _not_decoded(error)


def peek_time(raw: bytes | None) -> int | None:
    """The event time a record claims, for progress; None where it has no sane one."""
    if raw is None or len(raw) > SIZE_MAX:
        return None
    try:
        time = _decode_time(raw)
        at = parse_instant(time.timestamp or time.originalTimestamp or "")
    except _FAULTS:
        return None
    return at if at >= OLDEST else None


def peek(raw: bytes) -> tuple[int, bytes | None]:
    """What a line of a file says of its time (0 where it has no sane one) and of whom it is about."""
    if len(raw) > SIZE_MAX:
        return 0, None
    try:
        seen = _decode_peek(raw)
        customer = _whom(seen.userId, seen.anonymousId)
        at = parse_instant(seen.timestamp or seen.originalTimestamp or "")
    except _FAULTS:
        return 0, None
    return at if at >= OLDEST else 0, customer.encode() if customer else None


def peek_customer(raw: bytes | None) -> bytes | None:
    """Whom a record without a key is about; None where nobody can tell."""
    if raw is None or len(raw) > SIZE_MAX:
        return None
    try:
        ids = _decode_ids(raw)
        customer = _whom(ids.userId, ids.anonymousId)
        return customer.encode() if customer else None
    except _FAULTS:
        return None


def customer_key(key: bytes | None) -> str | Rejected | None:
    """The customer that a record key names; None where there is no key."""
    if not key:
        return None
    try:
        customer = key.decode()
    except UnicodeDecodeError:
        return Rejected("bad_key", "the record key is not UTF-8")
    if len(customer) > ID_CHARS_MAX or not customer.isprintable():
        return Rejected("bad_key", f"the record key is longer than {ID_CHARS_MAX} characters or has control characters")
    return customer


def _customer(wire: _Wire) -> str | Rejected:
    for field, value in (("userId", wire.userId), ("anonymousId", wire.anonymousId)):
        customer = identifier(value)
        if customer is None:
            return Rejected("bad_field", f"{field} is longer than {ID_CHARS_MAX} characters or has control characters")
        if customer:
            return customer
    return Rejected("missing_customer", "there is neither a record key nor a userId nor an anonymousId")


def _whom(user_id: str | int | None, anonymous_id: str | int | None) -> str | None:
    """The customer, as `_customer` would say; nothing where one of the ids cannot be one."""
    customer = identifier(user_id)
    return identifier(anonymous_id) if customer == "" else customer


def _maker(wire: _Wire) -> Maker | Rejected:
    if wire.type == "track":
        if not wire.event or len(wire.event) > ID_CHARS_MAX:
            return Rejected("bad_field", f"event is missing or longer than {ID_CHARS_MAX} characters")
        known: Maker = TRACKS.get(wire.event, plain_track)
        return known
    if wire.type is None:
        return Rejected("missing_type", "there is no type; it is track, identify, page, screen, group or alias")
    make: Maker | None = CALLS.get(wire.type)
    return make or Rejected("unknown_type", "type is none of track, identify, page, screen, group and alias")


def _event_time(wire: _Wire, now: int, clock: str) -> int | Rejected:
    text = wire.timestamp or wire.originalTimestamp
    if not text:
        return Rejected("missing_timestamp", "there is no timestamp")
    try:
        at = parse_instant(text)
    except NaiveInstant:
        return Rejected("naive_timestamp", "timestamp has no zone; write it in UTC, with a Z at its end")
    except (ValueError, OverflowError):
        return Rejected("bad_timestamp", "timestamp is not ISO 8601")
    if OLDEST <= at <= now:
        return at
    if at < OLDEST:
        return Rejected("timestamp_too_old", f"timestamp is before {format_instant(OLDEST)}")
    if at > now + AHEAD_MAX:
        return Rejected("timestamp_in_future", "timestamp is more than 24 hours ahead")
    return now if clock == "live" else at


_LIST = ord("[")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# Never backtracks, so that no text costs more than its length: to its end, or to that of the record.
_TEXTS = re.compile(rb'"(?:[^"\\]|\\.?)*+"?', re.DOTALL)


def too_deep(raw: bytes) -> bool:
    """Whether brackets nest deeper than `DEPTH_MAX`, those inside of texts aside."""
    # Almost no event has so many brackets at all, and counting costs a fifth of looking; most have no list.
    if raw.count(b"{") + (raw.count(b"[") if _LIST in raw else 0) <= DEPTH_MAX:
        return False
    return _depth(_TEXTS.sub(b"", raw).translate(None, _NOT_BRACKETS)) > DEPTH_MAX


def _depth(brackets: bytes) -> int:
    depth = deepest = 0
    for byte in brackets:
        if byte in b"[{":
            depth += 1
            if depth > deepest:
                deepest = depth
        else:
            depth -= 1
    return deepest


def _not_decoded(error: Exception) -> Rejected:
    if isinstance(error, msgspec.ValidationError):
        # msgspec names the field and the types, never the value.
        return Rejected("bad_field", str(error))
    if isinstance(error, UnicodeError):
        return Rejected("bad_utf8", "the record is not UTF-8, or holds half of a surrogate pair")
    if isinstance(error, RecursionError):
        return Rejected("too_deep", f"the record nests more than {DEPTH_MAX} levels")
    if isinstance(error, OverflowError):
        return Rejected("bad_number", "a number is larger than can be read")
    return Rejected("not_json", "the record is not JSON")
