"""A mail server of one's own on loopback, in a process of its own: it takes every mail and counts."""

from __future__ import annotations

import asyncio
import multiprocessing
from multiprocessing.connection import Connection
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session


class Inbox:
    """Start it, ask it how many mails came and what the last one was, stop it."""

    def __init__(self, port: int = 0) -> None:
        context = multiprocessing.get_context("spawn")
        self._ask, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, port), daemon=True)
        self._process.start()
        self.port: int = self._ask.recv()

    def taken(self) -> tuple[int, bytes]:
        """How many mails were accepted, and one of them: a reminder of a cart where there was one."""
        self._ask.send("taken")
        answer: tuple[int, bytes] = self._ask.recv()
        return answer

    def close(self) -> None:
        self._ask.send("stop")
        self._process.join(5)


class _Taker:
    def __init__(self) -> None:
        self.count = 0
        self.shown = b""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.count += 1
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        if not self.shown or b"X-Impuls-Template: cart_" in content:
            self.shown = content
        return "250 2.0.0 taken"


def _serve(pipe: Connection, port: int) -> None:
    asyncio.run(_run(pipe, port))


async def _run(pipe: Connection, port: int) -> None:
    taker, loop = _Taker(), asyncio.get_running_loop()

    def session() -> Any:
        return SMTP(taker, hostname="demo.example", enable_SMTPUTF8=True, loop=loop)

    server = await loop.create_server(session, "127.0.0.1", port)
    pipe.send(server.sockets[0].getsockname()[1])
    while True:
        while not pipe.poll():
            await asyncio.sleep(0.02)
        if pipe.recv() == "stop":
            server.close()
            return
        pipe.send((taker.count, taker.shown))
