"""Every channel with a real server of its provider's kind behind it, for the contract that all of them take.

A house says how its server is told to behave, and what the server saw: `identity` is what lets the other side know
a second attempt for what it is.
"""

from __future__ import annotations

import email
import email.policy
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from config.settings import Push, Sms, Webhook
from connectors.email import EmailProvider
from connectors.lanes import Provider
from connectors.links import Links
from connectors.push import PushProvider
from connectors.sms import SmsProvider
from connectors.templates import Templates
from connectors.tokens import Tokens
from connectors.webhook import WebhookProvider
from state.messages import Message
from tests.connectors.couriers import message
from tests.connectors.http_servers import Asked, FallSilent, HangUp, Says, Site, http_server
from tests.connectors.mail_servers import Mailbox, mail_server, scripted_server, settings, talk

Manner = Literal["accepts", "refuses", "knows nobody there", "is busy", "fails", "hangs up", "falls silent", "is gone"]
SECRET = "whsec_YSBzZWNyZXQgb2YgdGhlIHRlc3RzLCAzMiBieXRlcy4="
TOKENS = Tokens(b"x" * 32)
LINKS = Links(TOKENS, "https://shop.example", "Shop")
TIMEOUT_SECONDS = 1.0
DEVICE = "a-token-of-a-telephone"


def templates(folder: Path) -> Templates:
    """One message for each channel, called after it."""
    files = {
        "email/subject.txt": "Order {{ order }}",
        "email/body.txt": "Order {{ order }} is on its way. {{ unsubscribe_url }}",
        "sms/sms.txt": "Order {{ order }} is on its way.",
        "push/push_title.txt": "On its way",
        "push/push_body.txt": "Order {{ order }} is on its way.",
        "push/push_link.txt": "{{ shop_url }}/orders/{{ order }}",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return Templates.load(folder)


class House:
    """A provider's house.  `manner` is how its server behaves now."""

    name = "?"
    channel: Any = "email"
    address = "anna@example.com"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manner: Manner = "accepts"
        self.site = Site(self._does)

    def message(self, number: int = 0, **more: Any) -> Message:
        given: dict[str, Any] = {"channel": self.channel, "template": self.channel, "address": self.address}
        return message(number, **{**given, "content": {"order": f"o{number}"}, **more})

    @contextmanager
    def open(self, **settings: Any) -> Iterator[Provider]:
        with http_server(self.site) as port:
            yield self.provider(f"http://127.0.0.1:{port}", **settings)

    def provider(self, at: str, **settings: Any) -> Provider:
        raise NotImplementedError

    def calls(self) -> list[Asked]:
        return self.site.asked

    def identities(self) -> list[str]:
        return [each.headers["idempotency-key"] for each in self.calls()]

    def told(self) -> list[str]:
        """Whatever each accepted message said."""
        return [each.body.decode() for each in self.calls()]

    def busy_max(self) -> int:
        return self.site.under_way_max

    def _does(self, asked: Asked) -> Says:
        match self.manner:
            case "hangs up":
                raise HangUp
            case "falls silent":
                raise FallSilent
            case _:
                time.sleep(0.01)  # as long as a call takes, so that several are under way
                return self._says(asked)

    def _says(self, asked: Asked) -> Says:
        busy = Says(429, headers={"Retry-After": "7"})
        told = {"accepts": Says(200), "refuses": Says(422), "is busy": busy, "fails": Says(500)}
        return {**told, "knows nobody there": Says(410)}[self.manner]


class EmailHouse(House):
    name, channel = "smtp", "email"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.mailbox = Mailbox(rcpt=self._rcpt)

    @contextmanager
    def open(self, **more: Any) -> Iterator[Provider]:
        if self.manner in ("hangs up", "falls silent"):
            with scripted_server(self._ill) as port:
                yield self._provider(port, **more)
        else:
            with mail_server(self.mailbox) as port:
                yield self._provider(port, **more)

    def provider(self, at: str, **more: Any) -> Provider:
        return self._provider(int(at.rpartition(":")[2]), **more)

    def _provider(self, port: int, **more: Any) -> Provider:
        given = settings(port, **{"timeout_seconds": TIMEOUT_SECONDS, **more})
        return EmailProvider(given, templates(self.folder / "templates"), TOKENS, "https://shop.example")

    async def _ill(self, reader: Any, writer: Any) -> None:
        if self.manner == "accepts":
            await talk(reader, writer, "QUIT")
            return
        await talk(reader, writer, "DOT")
        self.site.asked.append(Asked("", {}, b""))
        if self.manner == "falls silent":
            await reader.read()

    def _rcpt(self, _: str) -> str | None:
        told = {"refuses": "550 5.7.1 no", "knows nobody there": "550 5.1.1 nobody", "is busy": "450 4.2.1 later"}
        return {**told, "fails": "451 4.3.0 sorry"}.get(self.manner)

    def identities(self) -> list[str]:
        return [str(each["Message-ID"]) for each in self._mails()]

    def told(self) -> list[str]:
        return [str(each.get_content()) for each in self._mails()]

    def _mails(self) -> list[Any]:
        return [email.message_from_bytes(raw, policy=email.policy.default) for _, raw in self.mailbox.taken]

    def busy_max(self) -> int:
        return self.mailbox.connections


class SmsHouse(House):
    name, channel, address = "json", "sms", "+48600100200"

    def provider(self, at: str, **more: Any) -> Provider:
        given = {"provider": "json", "url": f"{at}/messages", "sender": "Shop", "token": "t0ken"}
        made = Sms(**{"timeout_seconds": TIMEOUT_SECONDS, **given, **more})
        return SmsProvider(made, templates(self.folder / "templates"), LINKS, 32)


class TwilioHouse(SmsHouse):
    name = "twilio"

    def provider(self, at: str, **more: Any) -> Provider:
        given = {"provider": "twilio", "url": at, "account": "AC0", "sender": "+48600000000", **more}
        return super().provider(at, **given)

    def told(self) -> list[str]:
        return [parse_qs(each.body.decode())["Body"][0] for each in self.calls()]

    def _says(self, asked: Asked) -> Says:
        if self.manner == "accepts":
            return Says(201, b'{"sid": "SM0", "status": "queued"}')
        if self.manner == "knows nobody there":
            return Says(400, b'{"code": 21610, "message": "Attempt to send to unsubscribed recipient", "status": 400}')
        if self.manner == "refuses":
            return Says(400, b'{"code": 21606, "message": "From is not yours", "status": 400}')
        return super()._says(asked)


class PushHouse(House):
    name, channel, address = "json", "push", DEVICE

    def provider(self, at: str, **more: Any) -> Provider:
        given = {"provider": "json", "url": f"{at}/push", "token": "t0ken"}
        made = Push(**{"timeout_seconds": TIMEOUT_SECONDS, **given, **more})
        return PushProvider(made, templates(self.folder / "templates"), LINKS, 32)


class FcmHouse(PushHouse):
    name = "fcm"

    def provider(self, at: str, **more: Any) -> Provider:
        file = service_account(self.folder, f"{at}/token")
        return super().provider(at, **{"provider": "fcm", "url": at, "service_account_file": file, **more})

    def calls(self) -> list[Asked]:
        return [each for each in self.site.asked if each.path != "/token"]

    def identities(self) -> list[str]:
        return [each.json["message"]["data"]["message_id"] for each in self.calls()]

    def _does(self, asked: Asked) -> Says:
        if asked.path == "/token":
            return Says(200, b'{"access_token": "ya29", "expires_in": 3599, "token_type": "Bearer"}')
        return super()._does(asked)

    def _says(self, asked: Asked) -> Says:
        match self.manner:
            case "knows nobody there":
                return fcm_error(404, "NOT_FOUND", "UNREGISTERED")
            case "refuses":
                return fcm_error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT")
            case _:
                return super()._says(asked)


class WebhookHouse(House):
    name, channel, address = "webhook", "webhook", "crm"

    def provider(self, at: str, **more: Any) -> Provider:
        given = {"endpoints": {"crm": f"{at}/hooks?v=1"}, "secrets": (SECRET,), "https_only": False}
        made = Webhook(**{"timeout_seconds": TIMEOUT_SECONDS, **given, "private_networks": ("127.0.0.0/8",), **more})
        return WebhookProvider(made, 4)

    def identities(self) -> list[str]:
        return [each.headers["webhook-id"] for each in self.calls()]


HOUSES: list[Callable[[Path], House]] = [EmailHouse, SmsHouse, TwilioHouse, PushHouse, FcmHouse, WebhookHouse]


def fcm_error(status: int, word: str, code: str, field: str = "") -> Says:
    details: list[dict[str, Any]] = [
        {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}
    ]
    if field:
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": field}]})
    error = {"code": status, "message": f"{DEVICE} is wrong", "status": word, "details": details}
    return Says(status, json.dumps({"error": error}).encode())


_KEY = rsa.generate_private_key(65537, 2048)


def service_account(folder: Path, token_uri: str) -> Path:
    """The key file of a service account, as Firebase gives one out."""
    pem = _KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "service-account.json"
    made = {
        "type": "service_account",
        "project_id": "shop-1",
        "private_key_id": "k1",
        "private_key": pem.decode(),
        "client_email": "push@shop-1.iam.example",
        "token_uri": token_uri,
    }
    file.write_text(json.dumps(made))
    return file


def public_key() -> rsa.RSAPublicKey:
    return _KEY.public_key()
