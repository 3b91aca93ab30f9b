"""What links in mails carry: an opaque, authenticated word that says whom and what it is about, to us alone."""

from __future__ import annotations

import base64
import binascii
import os

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

TOKEN_CHARS_MAX = 2048
_VERSION = b"\x01"
_NONCE_BYTES = 12


class UnsubscribeToken(msgspec.Struct, frozen=True, array_like=True):
    """`issued_at` in seconds since 1970."""

    customer: str
    channel: str
    topic: str
    message_id: str
    issued_at: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(UnsubscribeToken).decode


class Tokens:
    """AES-256-GCM under a key derived from the deployment's secret.  Tokens do not expire: mails are kept."""

    def __init__(self, secret: bytes) -> None:
        key = HKDF(SHA256(), 32, salt=None, info=b"impuls link tokens").derive(secret)
        self._cipher = AESGCM(key)

    def seal(self, token: UnsubscribeToken) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = _VERSION + nonce + self._cipher.encrypt(nonce, _encode(token), _VERSION)
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, text: str) -> UnsubscribeToken | None:
        """None for what we did not write, or what was altered or cut on its way."""
        if len(text) > TOKEN_CHARS_MAX or not text.isascii():
            return None
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            if sealed[:1] != _VERSION:
                return None
            nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
            return _decode(self._cipher.decrypt(nonce, body, _VERSION))
        except (binascii.Error, InvalidTag, ValueError, msgspec.MsgspecError):
            return None
