"""Names that two stores, two workers and two runs agree on.

Every id is a keyed BLAKE2b of what it stands for.  The key is the deployment's secret, not a store's
own, so that a shard put back from a backup, or a second data centre, arrives at the same names; and
nobody without the secret can tell whether a given customer is behind an id.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b

CUSTOMER_HASH_BYTES = 16
EVENT_HASH_BYTES = 8
ITEM_HASH_BYTES = 8
CUSTOMERS_REMEMBERED_MAX = 32_768
_SHARE_STEPS = 1 << 53
_SIZES = [f"\0\0\0{chr(n)}" for n in range(128)]  # of short parts, as four bytes
_event = blake2b(digest_size=EVENT_HASH_BYTES).copy  # to copy one that is set up costs less than to set one up


def event_hash(event_id: str) -> bytes:
    """Eight bytes that stand for an event id among one customer's recent ones."""
    digest = _event()
    digest.update(event_id.encode())
    return digest.digest()


class Ids:
    """The keyed hashes of one deployment."""

    __slots__ = ("_address", "_customer", "_item", "_passage", "_share", "customer")

    customer: Callable[[bytes], bytes]
    """The store key of a customer, from the UTF-8 of her id: 16 bytes."""

    def __init__(self, secret: bytes) -> None:
        def keyed(purpose: bytes, size: int) -> blake2b:
            return blake2b(key=secret[:64], person=purpose, digest_size=size)

        self._customer = keyed(b"customer", CUSTOMER_HASH_BYTES)
        self._passage = keyed(b"passage", 16)
        self._share = keyed(b"share", 8)
        self._address = keyed(b"address", 8)
        self._item = keyed(b"item", ITEM_HASH_BYTES)
        # Asked for by the source, to find the shard, and by the shard; people come back soon.
        self.customer = lru_cache(CUSTOMERS_REMEMBERED_MAX)(self._hash)

    def _hash(self, customer: bytes) -> bytes:
        digest = self._customer.copy()
        digest.update(customer)
        return digest.digest()

    def passage(self, customer: str, flow: str, subject: str, event_id: str) -> str:
        """The passage that this event entered or restarted: 32 hex digits."""
        # As `_joined` would, in one step: nearly every event enters or restarts something.
        digest, sizes = self._passage.copy(), _SIZES
        try:
            digest.update(
                f"{sizes[len(customer)]}{customer}{sizes[len(flow)]}{flow}"
                f"{sizes[len(subject)]}{subject}{sizes[len(event_id)]}{event_id}".encode("ascii")
            )
        except (IndexError, UnicodeEncodeError):
            digest.update(_joined((customer, flow, subject, event_id)))
        return digest.hexdigest()

    def message(self, passage: str, step: str) -> str:
        """The message this step of a passage sends: 32 hex digits, the same on every run."""
        return self._name(passage, step)

    def claim(self, known: str, anonymous: str, place: str) -> str:
        """The claim that the record at this place in the log makes: 32 hex digits."""
        return self._name("claim", known, anonymous, place)

    def recommendation(self, customer: str, block: str, at: str) -> str:
        """What a run of recommendations that began then has for this customer: 32 hex digits."""
        return self._name("recommendation", customer, block, at)

    def set_aside(self, *parts: str) -> str:
        """The dead letter that stands for these coordinates: 32 hex digits."""
        return self._name("dead-letter", *parts)

    def share(self, *parts: str) -> float:
        """A number in [0, 1) that sticks to these parts: holdouts, experiment arms, jitter."""
        digest = self._share.copy()
        digest.update(_joined(parts))
        return (int.from_bytes(digest.digest(), "big") >> 11) / _SHARE_STEPS

    def item(self, product: str) -> bytes:
        """The store key of a product: 8 bytes."""
        digest = self._item.copy()
        digest.update(product.encode())
        return digest.digest()

    def address(self, address: str) -> str:
        """What the suppression list keeps instead of an address: 16 hex digits."""
        digest = self._address.copy()
        digest.update(address.strip().casefold().encode())
        return digest.hexdigest()

    def _name(self, *parts: str) -> str:
        digest = self._passage.copy()
        digest.update(_joined(parts))
        return digest.hexdigest()


def shard_of(customer_hash: bytes, shards: int) -> int:
    """The shard a customer lives in."""
    return int.from_bytes(customer_hash[:4], "big") % shards


def _joined(parts: tuple[str, ...]) -> bytes:
    # Lengths keep ("ab", "c") and ("a", "bc") apart.  Short ASCII parts, as nearly all are, become bytes together.
    text = "".join([f"\0\0\0{chr(len(part))}{part}" for part in parts])
    if text.isascii():
        return text.encode()
    return b"".join([len(raw).to_bytes(4, "big") + raw for raw in map(str.encode, parts)])
