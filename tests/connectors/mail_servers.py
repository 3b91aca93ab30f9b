"""Mail servers for the tests: a real one (aiosmtpd, with TLS and logins), and one that misbehaves as it is told."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from config.settings import Smtp

SECONDS_MAX = 20.0


@dataclass
class Mailbox:
    """What a server took, and how it answers: `rcpt` and `data` give the answer for an address, or None to accept."""

    rcpt: Callable[[str], str | None] = lambda _: None
    data: Callable[[str], str | None] = lambda _: None
    taken: list[tuple[str, bytes]] = field(default_factory=list)
    came_in_by_tls: list[bool] = field(default_factory=list)
    connections: int = 0

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, _: Any) -> str:
        if (refusal := self.rcpt(address)) is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        address = envelope.rcpt_tos[0]
        if (refusal := self.data(address)) is not None:
            return refusal
        assert isinstance(envelope.content, bytes)
        self.taken.append((address, envelope.content))
        assert server.transport is not None
        self.came_in_by_tls.append(server.transport.get_extra_info("ssl_object") is not None)
        return "250 2.0.0 taken"


@contextmanager
def mail_server(
    mailbox: Mailbox,
    *,
    tls: ssl.SSLContext | None = None,
    from_the_start: bool = False,
    login: tuple[str, str] | None = None,
    utf8: bool = True,
) -> Iterator[int]:
    """A real server in a thread of its own; its port."""

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == login
        return AuthResult(success=good, handled=False)

    def protocol() -> SMTP:
        mailbox.connections += 1
        return SMTP(
            mailbox,
            hostname="mx.shop.example",
            enable_SMTPUTF8=utf8,
            tls_context=None if from_the_start else tls,
            require_starttls=tls is not None and not from_the_start,
            auth_required=login is not None,
            auth_require_tls=tls is not None and not from_the_start,
            authenticator=authenticate if login else None,
            loop=asyncio.get_running_loop(),
        )

    async def listen() -> asyncio.Server:
        context = tls if from_the_start else None
        return await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=context)

    with _thread(listen) as port:
        yield port


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextmanager
def scripted_server(script: Script) -> Iterator[int]:
    """A server that does to each connection what the script says; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def listen() -> asyncio.Server:
        return await asyncio.start_server(serve, "127.0.0.1", 0)

    with _thread(listen) as port:
        yield port


async def talk(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, until: str, answers: dict[str, str] | None = None
) -> bytes:
    """Be polite up to and including the command that begins with `until`, which is left unanswered.

    `DOT` stands for the end of the mail. Returns what was said last.
    """
    if not until:
        return b""
    writer.write(b"220 mx.shop.example\r\n")
    while True:
        line = await reader.readuntil(b"\r\n")
        word = line.strip().split(b" ")[0].split(b":")[0].decode().upper()
        if word == until:
            return line
        if word == "DATA" and until == "DOT":
            writer.write(b"354 go ahead\r\n")
            return await reader.readuntil(b"\r\n.\r\n")
        if word == "DATA":
            writer.write(b"354 go ahead\r\n")
            await reader.readuntil(b"\r\n.\r\n")
        answer = (answers or {}).get(word, "250 OK" if word != "QUIT" else "221 bye")
        writer.write(answer.encode() + b"\r\n")


@contextmanager
def _thread(listen: Callable[[], Awaitable[asyncio.Server]]) -> Iterator[int]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> asyncio.Server:
        return await listen()

    async def stop() -> None:
        server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(SECONDS_MAX)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(SECONDS_MAX)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(SECONDS_MAX)
        loop.close()


@dataclass(frozen=True)
class Certificate:
    """A certificate for one address or host, signed by itself: `file` is what a client trusts."""

    file: Path
    context: ssl.SSLContext


def certificate(folder: Path, address: str = "127.0.0.1", *, host: str = "") -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.shop.example")])
    now = datetime.datetime.now(datetime.UTC)
    called = x509.DNSName(host) if host else x509.IPAddress(ip_address(address))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([called]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True)
    public, private = folder / "cert.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(public, private)
    return Certificate(public, context)


@contextmanager
def nobody() -> Iterator[int]:
    """A port that is taken, and that nobody listens at."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def settings(port: int, **more: Any) -> Smtp:
    return Smtp(**{"host": "127.0.0.1", "port": port, "timeout_seconds": 5.0, **more})
