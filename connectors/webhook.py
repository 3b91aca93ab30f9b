"""Outgoing webhooks, signed after Standard Webhooks: what happened, as JSON, to another system.

A target is an endpoint of the configuration, by its name, or a web address that came with data.  Those of the
configuration share its secrets; an address out of data is signed with keys derived for its origin, so that whoever
has one cannot sign for another.  https://www.standardwebhooks.com
"""

from __future__ import annotations

import base64
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

import msgspec

from config.settings import Webhook
from connectors.answer import Answer
from connectors.calls import Caller, meaning
from connectors.http import HttpClient, Request
from connectors.network import BadUrl, PublicNetwork, Resolve, networks, target
from state.instants import format_instant
from state.messages import Message

TARGETS_MAX = 1024  # whose circuits are remembered
PREFIX = "whsec_"


class WebhookProvider:
    """`connectors.lanes.Provider` for webhooks: each target has a circuit of its own."""

    name = "webhook"

    def __init__(
        self,
        settings: Webhook,
        calls_per_target: int,
        *,
        wall: Callable[[], float] = time.time,
        resolve: Resolve | None = None,
    ) -> None:
        self._settings, self._wall, self._calls_max = settings, wall, calls_per_target
        network = PublicNetwork(networks(settings.private_networks), resolve)
        self._client = HttpClient(timeout_seconds=settings.timeout_seconds, ca_file=settings.ca_file, network=network)
        self._secrets = [secret_bytes(each) for each in settings.secrets]
        self._callers: OrderedDict[str, Caller] = OrderedDict()

    def target(self, message: Message) -> str:
        """What must not hold up others: the origin it goes to."""
        try:
            return self._where(message)[1]
        except BadUrl:
            return ""

    async def deliver(self, message: Message) -> Answer:
        try:
            url, origin = self._where(message)
        except BadUrl:
            return Answer("refused", "bad_address", permanent_address=True)
        secrets = self._secrets
        if message.address not in self._settings.endpoints:
            secrets = [derived(each, origin) for each in secrets]
        reply = await self._caller(origin).call(self._request(message, url, secrets))
        if isinstance(reply, Answer):
            return reply
        if 300 <= reply.status < 400:
            return Answer("refused", f"{reply.status} redirect")
        return meaning(reply)

    async def close(self) -> None:
        await self._client.close()

    def _where(self, message: Message) -> tuple[str, str]:
        url = self._settings.endpoints.get(message.address, message.address)
        return target(url, https_only=self._settings.https_only)

    def _caller(self, origin: str) -> Caller:
        caller = self._callers.get(origin)
        if caller is None:
            caller = self._callers[origin] = Caller(self._client, self._calls_max)
            if len(self._callers) > TARGETS_MAX:
                self._callers.popitem(last=False)
        self._callers.move_to_end(origin)
        return caller

    def _request(self, message: Message, url: str, secrets: list[bytes]) -> Request:
        body = msgspec.json.encode(
            {"type": message.template, "timestamp": format_instant(message.at), "data": message.content}
        )
        headers = {"Content-Type": "application/json", "User-Agent": "Impuls"}
        return Request(url, {**headers, **signed(message.message_id, int(self._wall()), body, secrets)}, body)


def signed(message_id: str, timestamp: int, body: bytes, secrets: list[bytes]) -> Mapping[str, str]:
    """The three headers.  With several secrets there are several signatures, so that one can be changed for another."""
    content = f"{message_id}.{timestamp}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(secret, content, "sha256")).decode() for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
    }


def secret_bytes(text: str) -> bytes:
    return base64.b64decode(text.removeprefix(PREFIX))


def derived(secret: bytes, origin: str) -> bytes:
    """The key for one origin."""
    return hmac.digest(secret, b"impuls webhook " + origin.encode(), "sha256")


def secret_text(secret: bytes) -> str:
    return PREFIX + base64.b64encode(secret).decode()
