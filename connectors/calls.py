"""Calling one provider over HTTP: not at all while its circuit is open, and each answer understood."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from connectors.answer import Answer
from connectors.breaker import CircuitBreaker
from connectors.http import Forbidden, HttpClient, Reply, Request, Unanswered, Unreached
from state.messages import Message

RETRY_AFTER_SECONDS_MAX = 3600.0
_REFUSED = (400, 413, 422)
_LATER = (408, 425, 429, 503)


class Caller:
    """Calls one provider, at most `calls_max` at a time."""

    def __init__(self, client: HttpClient, calls_max: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._circuit = CircuitBreaker(clock, calls_max)

    async def call(self, request: Request) -> Reply | Answer:
        """What it replied, or what it means that it did not.  Never raises for what the other side does."""
        if (wait := await self._circuit.enter()) > 0:
            return Answer("deferred", "circuit_open", retry_after_seconds=wait)
        try:
            reply = await self._client.post(request)
        except Forbidden as error:
            self._circuit.succeeded()
            return Answer("refused", str(error))
        except Unreached as error:
            self._circuit.failed()
            return Answer("deferred", str(error))
        except Unanswered as error:
            self._circuit.failed()
            return Answer("unknown", str(error))
        except BaseException:
            self._circuit.failed()
            raise
        if reply.status >= 500 or reply.status in _LATER:
            self._circuit.failed()
        else:
            self._circuit.succeeded()
        return reply


def meaning(reply: Reply) -> Answer:
    """What a provider's reply means where it says no more than its status.

    A redirect, a login refused or a path that is not there is ours to mend: it must burn no message.
    """
    status, word = reply.status, str(reply.status)
    if 200 <= status < 300:
        return Answer("accepted")
    if status == 410:
        return Answer("refused", word, permanent_address=True)
    if status in _REFUSED:
        return Answer("refused", word)
    if status >= 500 and status not in _LATER:
        return Answer("unknown", word)  # it may have been done before whatever failed failed
    return Answer("deferred", word, retry_after_seconds=retry_after(reply))


def retry_after(reply: Reply) -> float:
    """Seconds, bounded; 0 where the reply does not say."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:6]), RETRY_AFTER_SECONDS_MAX)
    try:
        seconds = parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(0.0, seconds), RETRY_AFTER_SECONDS_MAX)


def idempotency_key(message: Message) -> str:
    """The same for every attempt whose fate nobody knows; another one after each definite refusal."""
    return f"{message.message_id}-{message.refusals}"
