"""The channel of push messages: renders one, and hands it to the provider for each of the customer's devices."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import msgspec

from config.settings import Push
from connectors.answer import Answer
from connectors.calls import Caller, idempotency_key, meaning
from connectors.fcm import Fcm
from connectors.http import HttpClient, Reply, Request
from connectors.links import Links
from connectors.sandbox import RenderError
from connectors.templates import Templates
from connectors.wording import link
from state.messages import Message


class Notice(msgspec.Struct, frozen=True):
    """What a device shows; `link` may be empty."""

    title: str
    text: str
    link: str


class Shape(Protocol):
    """How one provider is spoken to."""

    async def request(self, message: Message, device: str, notice: Notice) -> Request | Answer: ...

    def meaning(self, reply: Reply) -> Answer: ...


class PushProvider:
    """`connectors.lanes.Provider` for push messages."""

    def __init__(self, settings: Push, templates: Templates, links: Links, calls_max: int) -> None:
        self.name: str = settings.provider
        self._templates, self._links = templates, links
        self._client = HttpClient(timeout_seconds=settings.timeout_seconds, ca_file=settings.ca_file)
        self._caller = Caller(self._client, calls_max)
        self._slots = asyncio.Semaphore(calls_max)
        self._shape: Shape = Fcm(settings, self._client) if settings.provider == "fcm" else JsonPush(settings)

    async def deliver(self, message: Message) -> Answer:
        try:
            notice = self._notice(message)
        except RenderError as error:
            return Answer("no_content", str(error))
        devices = (message.address, *message.more)
        return summed_up(devices, await asyncio.gather(*(self._one(message, each, notice) for each in devices)))

    async def close(self) -> None:
        await self._client.close()

    def _notice(self, message: Message) -> Notice:
        words = self._templates.words(message.template, "push", self._links.content(message), message.locale)
        where = words.get("link", "")
        if where and not link(where):
            raise RenderError("its link is no web address")
        return Notice(words["title"], words["text"], where)

    async def _one(self, message: Message, device: str, notice: Notice) -> Answer:
        async with self._slots:
            request = await self._shape.request(message, device, notice)
            if isinstance(request, Answer):
                return request
            reply = await self._caller.call(request)
        return reply if isinstance(reply, Answer) else self._shape.meaning(reply)


class JsonPush:
    """Any service that takes a device, a title, a text and a link as JSON."""

    def __init__(self, settings: Push) -> None:
        self._url = settings.url
        self._headers = {"Content-Type": "application/json"}
        if settings.token:
            self._headers["Authorization"] = f"Bearer {settings.token}"

    async def request(self, message: Message, device: str, notice: Notice) -> Request:
        body = {"id": message.message_id, "device": device, **msgspec.structs.asdict(notice)}
        headers = {**self._headers, "Idempotency-Key": idempotency_key(message)}
        return Request(self._url, headers, msgspec.json.encode(body))

    def meaning(self, reply: Reply) -> Answer:
        return meaning(reply)


def summed_up(devices: Sequence[str], answers: Sequence[Answer]) -> Answer:
    """One answer for all devices: it has arrived when one of them has it, and may have when nobody can tell.

    Only what has arrived nowhere is tried again, so no device shows it twice for another's sake.
    """
    gone = tuple(device for device, answer in zip(devices, answers, strict=True) if answer.permanent_address)
    for result in ("accepted", "unknown", "deferred"):
        found = [answer for answer in answers if answer.result == result]
        if found:
            wait = max(answer.retry_after_seconds for answer in found)
            return Answer(found[0].result, found[0].detail, retry_after_seconds=wait, gone=gone)
    return answers[0]._replace(permanent_address=False, gone=gone)
