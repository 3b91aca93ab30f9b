"""One HTTP request, sent once: what was answered, or how far it got.

No redirect is followed, no proxy or cookie comes from the environment, the answer is read up to a bound and all of
it must happen within one time.  What fails before the first byte was sent can be tried again; after that nobody can
tell whether it arrived.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpcore

ANSWER_BYTES_MAX = 64 * 1024
IDLE_SECONDS_MAX = 15.0
IDLE_CONNECTIONS_MAX = 64
_FAILED = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, httpcore.UnsupportedProtocol)


class Unreached(Exception):
    """Nothing was sent.  The text is a word for machines."""


class Unanswered(Exception):
    """It was sent, at least in part, and nobody knows what came of it.  The text is a word for machines."""


class Forbidden(Exception):
    """The address leads where nothing may be sent.  The text is a word for machines."""


class Request(NamedTuple):
    """What to POST, and where."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class Reply(NamedTuple):
    """Header names in small letters.  The body may be cut, or empty where the connection broke in it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """Keeps connections open and uses them again.  `network` decides whom a name may lead to."""

    def __init__(
        self,
        *,
        timeout_seconds: float,
        ca_file: Path | None = None,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._timeout = timeout_seconds
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(cafile=str(ca_file) if ca_file else None),
            max_connections=None,  # whoever calls bounds how many calls are under way
            max_keepalive_connections=IDLE_CONNECTIONS_MAX,
            keepalive_expiry=IDLE_SECONDS_MAX,
            network_backend=network,
        )

    async def post(self, request: Request) -> Reply:
        """Raises `Unreached`, `Unanswered`, and `Forbidden` where `network` does."""
        sent = False

        async def trace(event: str, _: Mapping[str, Any]) -> None:
            nonlocal sent
            sent = sent or event.startswith("http11.send_request")

        status, headers, body = 0, dict[str, str](), b""
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._pool.stream(
                    "POST",
                    request.url,
                    headers=list(request.headers.items()),
                    content=request.body,
                    extensions={"trace": trace},
                ) as response,
            ):
                status = response.status
                headers = {name.decode("latin-1").lower(): text.decode("latin-1") for name, text in response.headers}
                async for part in response.aiter_stream():
                    body += part
                    if len(body) > ANSWER_BYTES_MAX:
                        body = body[:ANSWER_BYTES_MAX]
                        break
        except (*_FAILED, TimeoutError) as error:
            if not status:
                raise (Unanswered if sent else Unreached)(_word(error)) from error
        return Reply(status, headers, body)

    async def close(self) -> None:
        await self._pool.aclose()


def _word(error: BaseException) -> str:
    return "timeout" if isinstance(error, TimeoutError | httpcore.TimeoutException) else type(error).__name__
