"""How values rest in a store: format version, key id, nonce, and AES-256-GCM under the customer's own key."""

from __future__ import annotations

import os
from itertools import count

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from state.entropy import random_bytes
from state.store_errors import KeyLost, StoreDamaged, StoreRefused

VERSION = 1
KEY_ID_BYTES = 4
KEY_BYTES = 32
_VERSION_BYTE = bytes((VERSION,))
_HEAD = 1 + KEY_ID_BYTES
_BODY = _HEAD + 12


class Key:
    """A customer's key, ready for use.

    The id tells two keys of one customer apart: she may come back after her erasure, while a shard put
    back from a backup still holds what was sealed under the key that was destroyed.
    """

    __slots__ = ("decrypt", "encrypt", "head")

    def __init__(self, raw: bytes) -> None:
        """From id and key as the key store keeps them: 4 + 32 bytes."""
        cipher = AESGCM(raw[KEY_ID_BYTES:])
        self.head = _VERSION_BYTE + raw[:KEY_ID_BYTES]
        self.encrypt, self.decrypt = cipher.encrypt, cipher.decrypt


def new_key() -> bytes:
    """A fresh id and key: 4 + 32 bytes."""
    return random_bytes(KEY_ID_BYTES + KEY_BYTES)


class Codec:
    """Seals and opens values; the store key they lie under is authenticated with them.

    Nonces are six random bytes per process and a six-byte counter: a store put back from a backup, or
    copied, never meets the same nonce twice.  Safe to share between threads, not across a fork.
    """

    __slots__ = ("_next", "_prefix")

    def __init__(self) -> None:
        self._prefix = os.urandom(6)
        self._next = count(1).__next__

    def seal(self, key: Key, place: bytes, value: bytes) -> bytes:
        nonce = self._prefix + self._next().to_bytes(6, "big")
        return key.head + nonce + key.encrypt(nonce, value, place)

    def open(self, key: Key, place: bytes, sealed: bytes) -> bytes:
        """The value.  Raises `KeyLost` under another key, `StoreRefused` for newer bytes, `StoreDamaged` for other."""
        if sealed[:_HEAD] != key.head:
            check_version(sealed)
            raise KeyLost("store: a value was sealed under a key that its customer has no longer.")
        try:
            return key.decrypt(sealed[_HEAD:_BODY], sealed[_BODY:], place)
        except InvalidTag:
            raise StoreDamaged(
                "store: a value is not as it was written. Put the shard back from a backup; it reads from the log what "
                "it misses since."
            ) from None


def check_version(sealed: bytes) -> None:
    """Raises `StoreRefused` for bytes of a newer version than this one."""
    if not sealed or sealed[0] > VERSION:
        raise StoreRefused(
            f"store: a value was written by a newer version (format {sealed[0] if sealed else 'none'}, this one knows "
            f"{VERSION}). Start the newer version again."
        )
