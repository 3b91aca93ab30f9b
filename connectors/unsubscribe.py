"""The one page that mails need: `/u/{token}`.  GET shows it and changes nothing; POST withdraws consent.

What POST does is an event like any other, in the log before the answer is given (RFC 8058).
"""

from __future__ import annotations

import asyncio
import html
import json
import time
from collections.abc import Callable, Iterable
from email import message_from_bytes, policy
from hashlib import sha256
from itertools import count
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from connectors import openapi
from connectors.problems import of_exception, problem
from connectors.tokens import Tokens, UnsubscribeToken
from state.instants import format_instant
from state.records import Writer

BODY_BYTES_MAX = 1024
ONE_CLICK = "List-Unsubscribe=One-Click"
BODY_SECONDS_MAX = 10.0
APPEND_SECONDS_MAX = 10.0
_NO_LINK, _WAY_OUT = "This link is not valid", "It may have been cut on its way to you. Use the link in the mail."
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


class Appender:
    """Appends to the log and waits until it is there, for handlers of requests."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[str | None]] = {}
        self._numbers = count()
        self._task: asyncio.Task[None] | None = None

    async def append(self, topic: str, key: bytes, value: bytes) -> None:
        """Returns once the record is in the log.  Raises `TimeoutError` or `RuntimeError` when it is not."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            if not self._writer.send(topic, key, value, number):
                raise RuntimeError("the log takes nothing at the moment")
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._collect())
            error = await asyncio.wait_for(answer, APPEND_SECONDS_MAX)
            if error is not None:
                raise RuntimeError(error)
        finally:
            self._waiting.pop(number, None)

    async def _collect(self) -> None:
        while self._waiting:
            for ack in self._writer.acknowledged():
                answer = self._waiting.get(ack.token) if isinstance(ack.token, int) else None
                if answer is not None and not answer.done():
                    answer.set_result(ack.error)
            await asyncio.sleep(0.002)


def app(
    tokens: Tokens,
    writer: Writer,
    *,
    topic: str,
    wall: Callable[[], float] = time.time,
    more: Iterable[BaseRoute] = (),
) -> Starlette:
    """The HTTP application, with more routes than its own.  Withdrawals are appended to `topic`, keyed by customer."""
    appender = Appender(writer)

    async def show(request: Request) -> Response:
        token = tokens.open(request.path_params["token"])
        if token is None:
            return _page(_NO_LINK, _WAY_OUT, 404)
        return _page("Unsubscribe", _QUESTION.format(what=_what(token)), 200)

    async def act(request: Request) -> Response:
        text = request.path_params["token"]
        token = tokens.open(text)
        if token is None:
            return problem(404, f"{_NO_LINK}. {_WAY_OUT}", headers=_HEADERS)
        if not await _is_one_click(request):
            return problem(400, f"Send a form with {ONE_CLICK} and nothing else.", headers=_HEADERS)
        try:
            await appender.append(topic, token.customer.encode(), _withdrawal(token, text, wall()))
        except (RuntimeError, TimeoutError):
            headers = {**_HEADERS, "Retry-After": "30"}
            return problem(503, "This did not work just now. Please try again in a minute.", headers=headers)
        return _page("You are unsubscribed", f"We will send you no more {_what(token)}.", 200)

    async def healthy(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    routes = [
        Route("/u/{token}", show, methods=["GET"]),
        Route("/u/{token}", act, methods=["POST"]),
        Route("/healthz", healthy, methods=["GET"]),
        *more,
    ]
    return Starlette(
        routes=[*routes, openapi.route(routes)],
        exception_handlers={HTTPException: of_exception, Exception: of_exception},
    )


def _withdrawal(token: UnsubscribeToken, text: str, now: float) -> bytes:
    at = format_instant(round(now * 1000))
    event = {
        "type": "track",
        "event": "Unsubscribed",
        # Mail programs and people press twice, which is one event. Pressed again later, after she came back, it is
        # another, or the link of an old mail would do nothing.
        "messageId": f"unsubscribe-{sha256(text.encode()).hexdigest()[:32]}-{int(now // 60)}",
        "userId": token.customer,
        "timestamp": at,
        "properties": {
            "channel": token.channel,
            "topic": token.topic,
            "source": "unsubscribe link",
            "message_id": token.message_id,
        },
    }
    return json.dumps(event).encode()


async def _is_one_click(request: Request) -> bool:
    """Whether the body is RFC 8058's one field and nothing else, urlencoded or, as some send it, multipart."""
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            async for part in request.stream():
                body += part
                if len(body) > BODY_BYTES_MAX:
                    return False
    except TimeoutError:
        return False
    kind = request.headers.get("content-type", "")
    if kind.lower().startswith("multipart/form-data"):
        # The email package reads MIME, which this is.
        form = message_from_bytes(b"Content-Type: " + kind.encode("latin-1") + b"\r\n\r\n" + body, policy=policy.HTTP)
        fields = [
            (part.get_param("name", header="content-disposition"), part.get_content().strip())
            for part in form.iter_parts()
            if part.get_content_maintype() == "text"
        ]
        return fields == [tuple(ONE_CLICK.split("="))]
    return parse_qsl(body.decode("latin-1").strip(), keep_blank_values=True) == [tuple(ONE_CLICK.split("="))]


def _what(token: UnsubscribeToken) -> str:
    channel = {"email": "e-mails", "sms": "text messages"}.get(token.channel, "messages")
    return html.escape(f"{token.topic} {channel}".strip())


def _page(title: str, body: str, status: int) -> HTMLResponse:
    return HTMLResponse(_FRAME.format(title=title, body=body), status, _HEADERS)


_QUESTION = """<p>Do you want to receive no more {what} from us?</p>
<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">
<button type="submit">Unsubscribe</button></form>"""

_FRAME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
body{{font:18px/1.5 system-ui,sans-serif;margin:15vh auto;max-width:32rem;padding:0 1.5rem;color:#1d1d1f}}
button{{font:inherit;padding:.6rem 1.4rem;border:0;border-radius:.5rem;background:#0b57d0;color:#fff;cursor:pointer}}
button:focus-visible{{outline:3px solid #8ab4f8}}
</style></head><body><main><h1>{title}</h1>{body}</main></body></html>
"""
