"""The opaque tokens in links: what they say is encrypted and authenticated, so that a link tells nobody who it is for.

A token does not expire: mails are read years later, and a link to unsubscribe must still work then. The same token
sealed twice is the same text (AES-SIV, RFC 5297), so there is no nonce that could ever repeat.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CHARS_MAX = 4096
_PURPOSE = [b"impuls unsubscribe 1"]  # authenticated with every token, so that no other kind of token passes for one


class UnsubscribeToken(NamedTuple):
    """Who wants no more of what, and which message's link said so. `issued_at` is in seconds since 1970."""

    customer: str
    channel: str
    topic: str
    message_id: str
    issued_at: int


_decode = msgspec.msgpack.Decoder(UnsubscribeToken).decode
_encode = msgspec.msgpack.Encoder().encode


class Tokens:
    """Seals and opens the tokens of one deployment, under a key of their own that is drawn from its secret."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESSIV(HKDF(SHA512(), 64, salt=None, info=b"impuls unsubscribe").derive(secret))

    def seal(self, token: UnsubscribeToken) -> str:
        """The token as text that can stand in a URL as it is."""
        return urlsafe_b64encode(self._cipher.encrypt(_encode(token), _PURPOSE)).rstrip(b"=").decode()

    def open(self, text: str) -> UnsubscribeToken | None:
        """What a token says; None for one that is not ours, was cut or was changed."""
        if not text.isascii() or len(text) > CHARS_MAX:
            return None
        try:
            sealed = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            if urlsafe_b64encode(sealed).rstrip(b"=").decode() != text:
                return None  # one token has one spelling
            return _decode(self._cipher.decrypt(sealed, _PURPOSE))
        except (Error, ValueError, InvalidTag, msgspec.MsgspecError):
            return None
