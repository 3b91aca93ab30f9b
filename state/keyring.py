"""The key ring: numbered master keys that wrap the customers' own keys.

One small file outside of all data and backups.  The newest key wraps, any key in the ring unwraps; so a
ring is rotated by adding to it.  Who loses it loses every customer record, decision and outbox row
encrypted under it; the log, from which they can be built again, is not.
"""

from __future__ import annotations

import json
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from state.entropy import random_bytes
from state.files import write_once as write_once
from state.store_errors import StoreDamaged, StoreRefused

_NONCE_BYTES = 12


class KeyRing:
    """Wraps and unwraps keys.  Master keys are 32 bytes, for AES-256-GCM; their numbers go from 1 to 255.

    `name` is what errors call it, its file where it has one.
    """

    def __init__(self, keys: dict[int, bytes], name: str = "key ring") -> None:
        self.name = name
        self._keys = {number: AESGCM(key) for number, key in keys.items()}
        self._newest = max(keys)

    def wrap(self, key: bytes, owner: bytes) -> bytes:
        """The key as it may rest on disk, bound to its owner."""
        nonce = random_bytes(_NONCE_BYTES)
        return bytes((self._newest,)) + nonce + self._keys[self._newest].encrypt(nonce, key, owner)

    def unwrap(self, wrapped: bytes, owner: bytes) -> bytes:
        """Raises `StoreRefused` without the master key, `StoreDamaged` when it does not fit."""
        number = wrapped[0] if wrapped else 0
        master = self._keys.get(number)
        if master is None:
            raise StoreRefused(
                f"{self.name}: customers' keys are wrapped under master key {number}, which the ring does not have. "
                "Put the key ring file back from its backup."
            )
        try:
            return master.decrypt(wrapped[1 : 1 + _NONCE_BYTES], wrapped[1 + _NONCE_BYTES :], owner)
        except InvalidTag:
            raise StoreDamaged(
                f"{self.name}: a customer's key does not open under this key ring. Put the key store, or the ring that "
                "belongs to it, back from its backup."
            ) from None


def load_or_make(path: Path, *, may_make: bool) -> KeyRing:
    """The ring in this file; a new one where there may be none yet.  Raises `StoreRefused`."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        if not may_make:
            raise StoreRefused(
                f"{path}: the key ring is missing, and there are keys wrapped under it. Put it back from its backup; "
                "without it the stores cannot be read."
            ) from None
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_once(path, json.dumps({"1": random_bytes(32).hex()}))
        raw = path.read_bytes()
    try:
        keys = {int(number): bytes.fromhex(key) for number, key in json.loads(raw).items()}
        if not keys or not all(0 < number < 256 and len(key) == 32 for number, key in keys.items()):
            raise ValueError
        return KeyRing(keys, str(path))
    except (ValueError, AttributeError, TypeError):
        raise StoreRefused(
            f'{path}: this is no key ring. It is JSON such as {{"1": "64 hex digits"}}; put it back from its backup.'
        ) from None
