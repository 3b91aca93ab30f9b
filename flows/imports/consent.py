"""Address and consent at each customer's first sight, for data sets that know neither.

Made up, and visibly so: the addresses lie in `example.invalid`, which nobody can ever own.  Remembers eight bytes
for each customer seen, the one thing about an import that grows with its data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b

import orjson

from flows.imports.form import Imported
from state.instants import format_instant

PROOF = "made up by `impuls import --consent`"


def with_consent(events: Iterable[Imported]) -> Iterator[Imported]:
    """The events, and before each customer's first one with a time an identify and a Consent Granted."""
    seen: set[int] = set()
    for event in events:
        if event.key and event.at:
            mark = int.from_bytes(blake2b(event.key, digest_size=8).digest(), "big")
            if mark not in seen:
                seen.add(mark)
                yield from introduced(event.key, event.at)
        yield event


def introduced(key: bytes, at: int) -> tuple[Imported, Imported]:
    """What says who a customer is and that she agreed, at this moment (ms)."""
    who = {"userId": key.decode(), "timestamp": format_instant(at)}
    address = address_of(key)
    identify = {"type": "identify", "messageId": _id(b"identify", key), **who, "traits": {"email": address}}
    granted = {
        "type": "track",
        "event": "Consent Granted",
        "messageId": _id(b"consent", key),
        **who,
        "properties": {"channel": "email", "topic": "marketing", "source": "import", "proof": PROOF},
    }
    return Imported(key, orjson.dumps(identify), at), Imported(key, orjson.dumps(granted), at)


def address_of(key: bytes) -> str:
    """An address nobody has.  Ids that could not stand in one are replaced by their hash."""
    local = key.decode() if key.isalnum() and len(key) <= 60 else blake2b(key, digest_size=12).hexdigest()
    return f"c{local}@example.invalid"


def _id(what: bytes, key: bytes) -> str:
    return "import-" + blake2b(key, digest_size=12, person=what).hexdigest()
