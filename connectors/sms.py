"""The channel of text messages: renders one, minds its length, and hands it to a provider over HTTP."""

from __future__ import annotations

import base64
from urllib.parse import quote, urlencode

import msgspec
from prometheus_client import Counter

from config.settings import Sms
from connectors.answer import Answer
from connectors.calls import Caller, idempotency_key, meaning
from connectors.http import HttpClient, Reply, Request
from connectors.links import Links
from connectors.segments import length
from connectors.templates import RenderError, Templates
from state.messages import Message
from state.phones import e164

SEGMENTS = Counter("impuls_sms_segments", "Segments of text messages that were accepted", ["provider", "alphabet"])
_TWILIO_GONE = (21211, 21214, 21217, 21610, 21614)  # no such number, no mobile one, or who answered STOP
_TWILIO_LATER = (20429, 21611, 30001)  # too many at a time


class SmsProvider:
    """`connectors.lanes.Provider` for text messages."""

    def __init__(self, settings: Sms, templates: Templates, links: Links, calls_max: int) -> None:
        self.name: str = settings.provider
        self._settings, self._templates, self._links = settings, templates, links
        self._client = HttpClient(timeout_seconds=settings.timeout_seconds, ca_file=settings.ca_file)
        self._caller = Caller(self._client, calls_max)

    async def deliver(self, message: Message) -> Answer:
        try:
            text = self._templates.words(message.template, "sms", self._links.content(message), message.locale)["text"]
        except RenderError as error:
            return Answer("no_content", str(error))
        size = length(text)
        if size.segments > self._settings.segments_max:
            return Answer("no_content", f"{size.segments} segments")
        to = e164(message.address)
        if not to:
            return Answer("refused", "bad_address", permanent_address=True)
        twilio = self._settings.provider == "twilio"
        reply = await self._caller.call((self._twilio if twilio else self._json)(message, to, text))
        if isinstance(reply, Answer):
            return reply
        answer = twilio_meaning(reply) if twilio else meaning(reply)
        if answer.result == "accepted":
            SEGMENTS.labels(self.name, size.alphabet).inc(size.segments)
        return answer

    async def close(self) -> None:
        await self._client.close()

    def _json(self, message: Message, to: str, text: str) -> Request:
        settings = self._settings
        headers = {"Content-Type": "application/json", "Idempotency-Key": idempotency_key(message)}
        if settings.token:
            headers["Authorization"] = f"Bearer {settings.token}"
        body = {"id": message.message_id, "to": to, "from": settings.sender, "text": text}
        return Request(settings.url, headers, msgspec.json.encode(body))

    def _twilio(self, message: Message, to: str, text: str) -> Request:
        settings = self._settings
        login = base64.b64encode(f"{settings.account}:{settings.token}".encode()).decode()
        sender = "MessagingServiceSid" if settings.sender.startswith("MG") else "From"
        return Request(
            f"{settings.url or TWILIO}/2010-04-01/Accounts/{quote(settings.account, safe='')}/Messages.json",
            {
                "Authorization": f"Basic {login}",
                "Content-Type": "application/x-www-form-urlencoded",
                "Idempotency-Key": idempotency_key(message),
            },
            urlencode({"To": to, sender: settings.sender, "Body": text}).encode(),
        )


TWILIO = "https://api.twilio.com"


class _Error(msgspec.Struct):
    code: int = 0


_error = msgspec.json.Decoder(_Error)


def twilio_meaning(reply: Reply) -> Answer:
    """Twilio's own codes say more than its status; https://www.twilio.com/docs/api/errors."""
    answer = meaning(reply)
    if reply.status < 400 or reply.status >= 500:
        return answer
    try:
        code = _error.decode(reply.body).code
    except msgspec.MsgspecError:
        return answer
    detail = f"{reply.status} {code}" if code else answer.detail
    if code in _TWILIO_GONE:
        return Answer("refused", detail, permanent_address=True)
    if code in _TWILIO_LATER:
        return Answer("deferred", detail, retry_after_seconds=answer.retry_after_seconds)
    return answer._replace(detail=detail)
