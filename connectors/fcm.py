"""Firebase Cloud Messaging, HTTP v1: its messages, its errors, and the access tokens it asks for.

https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from config.settings import Push
from connectors.answer import Answer
from connectors.calls import Caller, meaning
from connectors.http import HttpClient, Reply, Request
from state.messages import Message

if TYPE_CHECKING:
    from connectors.push import Notice

URL = "https://fcm.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_SECONDS = 3600
EARLY_SECONDS = 300  # before its end an access token is changed for a new one
_GONE = ("UNREGISTERED", "SENDER_ID_MISMATCH")


class BadServiceAccount(ValueError):
    """The file is no service account; the text says why, without what is in it."""


class ServiceAccount(msgspec.Struct, frozen=True):
    """The key file that Firebase's console gives out."""

    client_email: str
    private_key: str
    private_key_id: str
    project_id: str
    token_uri: str = "https://oauth2.googleapis.com/token"

    @classmethod
    def load(cls, file: Path) -> tuple[ServiceAccount, RSAKey]:
        """Raises `BadServiceAccount`."""
        try:
            account = msgspec.json.decode(file.read_bytes(), type=cls)
        except (OSError, msgspec.MsgspecError) as error:
            raise BadServiceAccount(f"it cannot be read as one ({type(error).__name__})") from None
        try:
            return account, RSAKey.import_key(account.private_key)
        except (ValueError, JoseError):
            raise BadServiceAccount("its private_key is none") from None


class AccessTokens:
    """Changes a signed assertion for an access token (RFC 7523), and keeps it while it is good."""

    def __init__(
        self, account: ServiceAccount, key: RSAKey, client: HttpClient, wall: Callable[[], float] = time.time
    ) -> None:
        self._account, self._key, self._wall = account, key, wall
        self._caller = Caller(client, 1)
        self._token, self._until = "", 0.0
        self._asking: asyncio.Task[str | Answer] | None = None

    async def get(self) -> str | Answer:
        """The token, or why there is none; those who come while it is asked for wait for the same answer."""
        if self._token and self._wall() < self._until:
            return self._token
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    def forget(self) -> None:
        """It was refused."""
        self._token = ""

    async def _ask(self) -> str | Answer:
        try:
            reply = await self._caller.call(self._request())
            if isinstance(reply, Answer):
                # Whatever became of it, no message was sent.
                return Answer("deferred", f"oauth {reply.detail}", retry_after_seconds=reply.retry_after_seconds)
            granted = _granted(reply)
            if granted is None:
                return Answer("deferred", f"oauth {reply.status}")
            self._token, self._until = granted.access_token, self._wall() + granted.expires_in - EARLY_SECONDS
            return self._token
        finally:
            self._asking = None

    def _request(self) -> Request:
        account, now = self._account, int(self._wall())
        claims = {
            "iss": account.client_email,
            "scope": SCOPE,
            "aud": account.token_uri,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
        }
        assertion = jwt.encode({"alg": "RS256", "typ": "JWT", "kid": account.private_key_id}, claims, self._key)
        body = urlencode({"grant_type": GRANT, "assertion": assertion}).encode()
        return Request(account.token_uri, {"Content-Type": "application/x-www-form-urlencoded"}, body)


class Fcm:
    """The shape of FCM."""

    def __init__(self, settings: Push, client: HttpClient) -> None:
        assert settings.service_account_file is not None
        account, key = ServiceAccount.load(settings.service_account_file)
        self._tokens = AccessTokens(account, key, client)
        self._url = f"{settings.url or URL}/v1/projects/{quote(account.project_id, safe='')}/messages:send"

    async def request(self, message: Message, device: str, notice: Notice) -> Request | Answer:
        token = await self._tokens.get()
        if isinstance(token, Answer):
            return token
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        return Request(self._url, headers, msgspec.json.encode({"message": _message(message, device, notice)}))

    def meaning(self, reply: Reply) -> Answer:
        answer = meaning(reply)
        if 200 <= reply.status < 300:
            return answer
        error = _error(reply)
        if reply.status == 401:
            self._tokens.forget()
        word = f"{reply.status} {error.word}" if error.word else answer.detail
        if error.word in _GONE or error.names_the_token:
            return Answer("refused", word, permanent_address=True)
        if reply.status == 410:  # not one of FCM's
            return Answer("deferred", word)
        return answer._replace(detail=word)


def _message(message: Message, device: str, notice: Notice) -> dict[str, Any]:
    """The message's id is where each platform lets a later copy take an earlier one's place."""
    name = message.message_id
    made: dict[str, Any] = {
        "token": device,
        "notification": {"title": notice.title, "body": notice.text},
        "data": {"message_id": name, **({"link": notice.link} if notice.link else {})},
        "android": {"notification": {"tag": name}},
        "apns": {"headers": {"apns-collapse-id": name[:64]}},
        "webpush": {"headers": {"Topic": name[:32]}},
    }
    if notice.link:
        made["webpush"]["fcm_options"] = {"link": notice.link}
    return made


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: float = 3600


def _granted(reply: Reply) -> _Granted | None:
    if reply.status != 200:
        return None
    try:
        return msgspec.json.decode(reply.body, type=_Granted)
    except msgspec.MsgspecError:
        return None


class _Violation(msgspec.Struct):
    field: str = ""


class _Detail(msgspec.Struct):
    errorCode: str = ""
    fieldViolations: list[_Violation] = []


class _Inner(msgspec.Struct):
    status: str = ""
    details: list[_Detail] = []


class _Outer(msgspec.Struct):
    error: _Inner = msgspec.field(default_factory=_Inner)


class _Error(msgspec.Struct):
    word: str
    names_the_token: bool


_outer = msgspec.json.Decoder(_Outer)


def _error(reply: Reply) -> _Error:
    """FCM's own word; nothing else of its text, which repeats the token."""
    try:
        inner = _outer.decode(reply.body).error
    except msgspec.MsgspecError:
        return _Error("", False)
    word = next((each.errorCode for each in inner.details if each.errorCode), inner.status)
    fields = [each.field for detail in inner.details for each in detail.fieldViolations]
    return _Error(word if word.isupper() and word.isascii() and len(word) <= 40 else "", "message.token" in fields)
