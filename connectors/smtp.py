"""Handing one mail to an SMTP server, and understanding its answer.

Connections are kept open and used again.  What fails before the server has the mail can be tried
again; what fails between the final dot and the answer is unknown, and nobody can tell.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from config.settings import Smtp
from connectors.breaker import CircuitBreaker
from connectors.mail import Mail
from state.messages import Result

IDLE_SECONDS_MAX = 20.0
_PERMANENT = ("5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1")
_GONE = (SMTPServerDisconnected, SMTPTimeoutError, OSError, asyncio.TimeoutError, asyncio.IncompleteReadError)


class Answer(NamedTuple):
    """What one attempt came to; see `state.messages.Delivery`."""

    result: Result
    detail: str = ""
    permanent_address: bool = False
    retry_after_seconds: float = 0.0


class _Open(NamedTuple):
    client: SMTP
    idle_since: float


class SmtpSender:
    """Sends mails over at most `settings.pool` connections at a time."""

    def __init__(self, settings: Smtp, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._idle: deque[_Open] = deque()
        self._slots = asyncio.Semaphore(settings.pool)
        self._circuit = CircuitBreaker(clock, settings.pool)
        self._tls = _tls_context(settings)

    async def send(self, mail: Mail) -> Answer:
        """Try once.  Never raises for what a server or a network does."""
        async with self._slots:
            while (wait := self._circuit.enter()) == 0:
                await asyncio.sleep(0.02)
            if wait is not None:
                return Answer("deferred", "circuit_open", retry_after_seconds=wait)
            try:
                answer, reached = await self._try(mail)
            except BaseException:
                self._circuit.failed()
                raise
            if reached:
                self._circuit.succeeded()
            else:
                self._circuit.failed()
            return answer

    async def close(self) -> None:
        while self._idle:
            await _quietly(self._idle.pop().client.quit())

    async def _try(self, mail: Mail) -> tuple[Answer, bool]:
        """The answer, and whether the server gave one."""
        client, fresh = self._kept(), False
        while True:
            if client is None:
                try:
                    client, fresh = await self._connect(), True
                except (SMTPException, *_GONE) as error:
                    return Answer("deferred", _word(error)), False
            try:
                await client.mail(mail.sender)
            except SMTPResponseException as error:
                if error.code == 421 and not fresh:
                    self._drop(client)
                    client = None
                    continue
                return await self._answered(client, error), True
            except (SMTPException, *_GONE) as error:
                self._drop(client)
                if not fresh:
                    client = None  # it was kept open too long; nothing of the mail was said yet
                    continue
                return Answer("deferred", _word(error)), False
            break
        try:
            await client.rcpt(mail.recipient)
        except SMTPRecipientsRefused as refused:
            first = refused.recipients[0]
            return await self._answered(client, first, at_recipient=True), True
        except SMTPResponseException as error:
            return await self._answered(client, error, at_recipient=True), True
        except (SMTPException, *_GONE) as error:
            self._drop(client)
            return Answer("deferred", _word(error)), False
        try:
            await client.data(mail.raw)
        except SMTPResponseException as error:
            return await self._answered(client, error), True
        except (SMTPException, *_GONE) as error:
            self._drop(client)
            return Answer("unknown", _word(error)), False
        except asyncio.CancelledError:
            self._drop(client)
            raise
        self._idle.append(_Open(client, self._clock()))
        return Answer("accepted"), True

    async def _answered(self, client: SMTP, error: SMTPResponseException, *, at_recipient: bool = False) -> Answer:
        code = error.code or 0
        detail = f"{code} {_enhanced(str(error.message))}".strip()
        if code == 421 or not client.is_connected:
            self._drop(client)
        elif await _quietly(client.rset()):
            self._idle.append(_Open(client, self._clock()))
        else:
            self._drop(client)
        if 500 <= code < 600 and code not in (530, 534, 535):
            permanent = at_recipient and (code in (550, 551, 553) or any(each in detail for each in _PERMANENT))
            return Answer("refused", detail, permanent_address=permanent and "5.7" not in detail)
        return Answer("deferred", detail)

    def _kept(self) -> SMTP | None:
        while self._idle:
            kept = self._idle.pop()  # the last used is the least likely to have been closed
            if kept.client.is_connected and self._clock() - kept.idle_since < IDLE_SECONDS_MAX:
                return kept.client
            self._drop(kept.client)
        return None

    def _drop(self, client: SMTP) -> None:
        client.close()

    async def _connect(self) -> SMTP:
        settings = self._settings
        client = SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.username or None,
            password=settings.password or None,
            timeout=settings.timeout_seconds,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            tls_context=self._tls,
        )
        try:
            await client.connect()
        except BaseException:
            client.close()
            raise
        return client


def _tls_context(settings: Smtp) -> ssl.SSLContext | None:
    if settings.security == "none":
        return None
    return ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)


def _enhanced(text: str) -> str:
    """The enhanced status code (RFC 3463) of an answer; the rest of it may hold the address."""
    word = text.strip().split(" ", 1)[0] if text.strip() else ""
    return word if word.count(".") == 2 and word.replace(".", "").isdigit() else ""


def _word(error: BaseException) -> str:
    if isinstance(error, SMTPResponseException):
        return f"{error.code} {_enhanced(str(error.message))}".strip()
    return "timeout" if isinstance(error, SMTPTimeoutError | asyncio.TimeoutError) else type(error).__name__


async def _quietly(call: Awaitable[object]) -> bool:
    try:
        await call
    except (SMTPException, *_GONE):
        return False
    return True
