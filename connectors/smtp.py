"""Handing one mail to an SMTP server, and understanding its answer.

Connections are kept open and used again.  What fails before the server has the mail can be tried
again; what fails between the final dot and the answer is unknown, and nobody can tell.
"""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from config.settings import MailServer
from connectors.answer import Answer
from connectors.breaker import CircuitBreaker
from connectors.mail import Mail

log = logging.getLogger("impuls.smtp")

IDLE_SECONDS_MAX = 20.0
TELL_SECONDS = 10.0  # of a server that comes and goes not oftener than this
_PERMANENT = ("5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1")  # RFC 3463: of the address, not of us
_OURS_TO_MEND = (530, 534, 535, 538)  # the server wants us to log in: no fault of this mail
_GONE = (SMTPServerDisconnected, SMTPTimeoutError, OSError, asyncio.TimeoutError, asyncio.IncompleteReadError)


class _Open(NamedTuple):
    client: SMTP
    idle_since: float


class SmtpSender:
    """Sends mails over at most `settings.pool` connections at a time."""

    def __init__(self, settings: MailServer, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._idle: deque[_Open] = deque()
        self._slots = asyncio.Semaphore(settings.pool)
        self._circuit = CircuitBreaker(clock, settings.pool)
        self._tls = _tls_context(settings)
        self._there, self._told_at = True, -math.inf

    async def send(self, mail: Mail) -> Answer:
        """Try once.  Never raises for what a server or a network does."""
        return (await self.attempt(mail))[0]

    async def attempt(self, mail: Mail) -> tuple[Answer, bool]:
        """Try once, and whether the server was there to answer; where it was not, another may have the mail."""
        async with self._slots:
            if (wait := await self._circuit.enter()) > 0:
                return Answer("deferred", "circuit_open", retry_after_seconds=wait), False
            try:
                answer, reached = await self._try(mail)
            except BaseException:
                self._circuit.failed()
                raise
            if reached:
                self._circuit.succeeded()
            else:
                self._circuit.failed()
            self._tell(answer, reached)
            return answer, reached

    def _tell(self, answer: Answer, reached: bool) -> None:
        """Log that the server is gone or back: messages say why for one by one, and nobody looks there first."""
        if reached == self._there or self._clock() < self._told_at + TELL_SECONDS:
            return
        self._there, self._told_at = reached, self._clock()
        place = {"host": self._settings.host, "port": self._settings.port}
        if reached:
            log.info("the mail server answers again", extra=place)
        else:
            log.warning("the mail server does not answer; mails wait", extra={**place, "fact": answer.detail})

    async def close(self) -> None:
        while self._idle:
            await _quietly(self._idle.pop().client.quit())

    async def _try(self, mail: Mail) -> tuple[Answer, bool]:
        """The answer, and whether the server is there to give one."""
        try:
            client = await self._begin(mail)
        except (SMTPException, *_GONE) as error:
            return Answer("deferred", _word(error)), False
        if isinstance(client, Answer):
            return client, not client.detail.startswith("421")
        try:
            await client.rcpt(mail.recipient, encoding=_encoding(mail))
            answer = await client.execute_command(b"DATA")
            if answer.code != 354:
                raise SMTPDataError(answer.code, answer.message)
        except SMTPResponseException as error:
            refused = await self._answered(client, error, at_recipient=isinstance(error, SMTPRecipientRefused))
            return refused, error.code != 421
        except (SMTPException, *_GONE) as error:
            client.close()
            return Answer("deferred", _word(error)), False
        except BaseException:
            client.close()
            raise
        return await self._hand_over(client, mail)

    async def _begin(self, mail: Mail) -> SMTP | Answer:
        """A connection that has taken the sender, or why none has.  Raises what connecting raises."""
        client = self._kept()
        while client is not None:
            try:
                return await self._from(client, mail)
            except SMTPResponseException as error:
                if error.code != 421:
                    return await self._answered(client, error)
            except (SMTPException, *_GONE):
                pass  # it was kept open too long
            except BaseException:
                client.close()
                raise
            client.close()  # nothing of the mail was said yet, so another connection may have it
            client = self._kept()
        client = await self._connect()
        try:
            return await self._from(client, mail)
        except SMTPResponseException as error:
            return await self._answered(client, error)
        except BaseException:
            client.close()
            raise

    async def _from(self, client: SMTP, mail: Mail) -> SMTP | Answer:
        if mail.utf8 and client.is_ehlo_or_helo_needed:
            await client.ehlo()
        if mail.utf8 and not client.supports_extension("smtputf8"):
            self._idle.append(_Open(client, self._clock()))
            return Answer("refused", "no_smtputf8")
        await client.mail(mail.sender, options=["SMTPUTF8"] if mail.utf8 else [], encoding=_encoding(mail))
        return client

    async def _hand_over(self, client: SMTP, mail: Mail) -> tuple[Answer, bool]:
        """From here on the server may have the mail: without an answer that says so, nobody can tell."""
        protocol = client.protocol
        if protocol is None:  # it hung up after it said go ahead, and has nothing
            return Answer("deferred", "SMTPServerDisconnected"), False
        try:
            protocol.write(_stuffed(mail.raw))
            code, message = await protocol.read_response(timeout=self._settings.timeout_seconds)
        except (SMTPException, *_GONE) as error:
            client.close()
            return Answer("unknown", "timeout" if _timed_out(error) else type(error).__name__), False
        except BaseException:
            client.close()
            raise
        if 200 <= code < 300:
            self._idle.append(_Open(client, self._clock()))
            return Answer("accepted"), True
        if not 400 <= code < 600:
            client.close()
            return Answer("unknown", f"answer {code}"), True
        return await self._answered(client, SMTPDataError(code, message)), code != 421

    async def _answered(self, client: SMTP, error: SMTPResponseException, *, at_recipient: bool = False) -> Answer:
        """What a refusal means.  The connection is kept where it can be used again."""
        code, enhanced = error.code or 0, _enhanced(str(error.message))
        if code == 421 or not client.is_connected:
            client.close()
        elif await _quietly(client.rset()):
            self._idle.append(_Open(client, self._clock()))
        else:
            client.close()
        detail = f"{code} {enhanced}".strip()
        if 500 <= code < 600 and code not in _OURS_TO_MEND:
            gone = enhanced in _PERMANENT if enhanced else code in (550, 551, 553)
            return Answer("refused", detail, permanent_address=at_recipient and gone)
        return Answer("deferred", detail)

    def _kept(self) -> SMTP | None:
        while self._idle:
            kept = self._idle.pop()  # the last used is the least likely to have been closed
            if kept.client.is_connected and self._clock() - kept.idle_since < IDLE_SECONDS_MAX:
                return kept.client
            kept.client.close()
        return None

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


def _tls_context(settings: MailServer) -> ssl.SSLContext | None:
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
    if type(error) is SMTPException and "STARTTLS" in str(error):
        return "no_starttls"
    return "timeout" if _timed_out(error) else type(error).__name__


def _timed_out(error: BaseException) -> bool:
    return isinstance(error, SMTPTimeoutError | TimeoutError)


def _encoding(mail: Mail) -> str:
    return "utf-8" if mail.utf8 else "ascii"


def _stuffed(raw: bytes) -> bytes:
    """A mail's bytes between DATA and its answer (RFC 5321, 4.5.2)."""
    raw = raw.replace(b"\r\n.", b"\r\n..")
    return (b"." if raw.startswith(b".") else b"") + raw + (b".\r\n" if raw.endswith(b"\r\n") else b"\r\n.\r\n")


async def _quietly(call: Awaitable[object]) -> bool:
    try:
        await call
    except (SMTPException, *_GONE):
        return False
    return True
