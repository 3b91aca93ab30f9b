"""What could not be used, why, and the bytes, so that nothing vanishes: the topic `dead-letters`."""

from __future__ import annotations

import base64
import hashlib

import msgspec

BYTES_MAX = 256 * 1024


class DeadLetter(msgspec.Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True):
    """A record that was set aside.

    `bytes` is base64 of the record's value, cut at `BYTES_MAX`; `length` and `sha256` tell of the whole.
    `flow`, `customer` and `wait` stand where a flow's own code failed: only that flow is to run again.
    """

    id: str
    reason: str
    topic: str
    partition: int
    offset: int
    bytes: str
    length: int
    sha256: str
    error: str
    key: str = ""  # base64 of the record's key
    at: str = ""
    flow: str = ""
    customer: str = ""
    wait: str = ""
    passage: str = ""
    fact: str = ""  # base64 of the event as the flow heard it


def dead_letter(
    *,
    id: str,
    reason: str,
    topic: str,
    partition: int,
    offset: int,
    value: bytes | None,
    error: str,
    key: bytes | None = None,
    at: str = "",
    flow: str = "",
    customer: str = "",
    wait: str = "",
    passage: str = "",
    fact: str = "",
) -> DeadLetter:
    whole = value or b""
    return DeadLetter(
        id=id,
        reason=reason,
        topic=topic,
        partition=partition,
        offset=offset,
        bytes=base64.b64encode(whole[:BYTES_MAX]).decode(),
        length=len(whole),
        sha256=hashlib.sha256(whole).hexdigest(),
        error=error,
        key=base64.b64encode(key[:BYTES_MAX]).decode() if key else "",
        at=at,
        flow=flow,
        customer=customer,
        wait=wait,
        passage=passage,
        fact=fact,
    )


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(DeadLetter)


def to_json(letter: DeadLetter) -> bytes:
    return _encoder.encode(letter)


def from_json(raw: bytes) -> DeadLetter:
    return _decoder.decode(raw)
