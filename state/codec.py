"""How values rest in a store: a format version, a nonce, and AES-256-GCM under the customer's own key."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from state.store_errors import StoreDamaged, StoreRefused

VERSION = 1
_VERSION_BYTE = bytes((VERSION,))
_HEAD = 13


class Codec:
    """Seals and opens values; the store key they lie under is authenticated with them.

    Nonces are six random bytes per process and a six-byte counter: a store put back from a backup, or
    copied, never meets the same nonce twice.
    """

    def __init__(self) -> None:
        self._prefix = os.urandom(6)
        self._count = 0

    def seal(self, key: AESGCM, place: bytes, value: bytes) -> bytes:
        self._count += 1
        nonce = self._prefix + self._count.to_bytes(6, "big")
        return _VERSION_BYTE + nonce + key.encrypt(nonce, value, place)

    def open(self, key: AESGCM, place: bytes, sealed: bytes) -> bytes:
        """Raises `StoreRefused` for newer bytes than this version knows, `StoreDamaged` for altered ones."""
        check_version(sealed)
        try:
            return key.decrypt(sealed[1:_HEAD], sealed[_HEAD:], place)
        except InvalidTag:
            raise StoreDamaged(
                "store: a value is not as it was written. Put the shard back from a backup; it reads from the log what "
                "it misses since."
            ) from None


def check_version(sealed: bytes) -> None:
    if not sealed or sealed[0] > VERSION:
        raise StoreRefused(
            f"store: a value was written by a newer version (format {sealed[0] if sealed else 'none'}, this one knows "
            f"{VERSION}). Start the newer version again."
        )
