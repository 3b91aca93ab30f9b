"""A mail server in a process of its own: it writes down every mail it accepts, and fails when it is told to.

A mail stands in the journal before the server says that it has it, so that no accepted mail is missing there.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Literal, NamedTuple

from aiosmtpd.smtp import SMTP, Envelope, Session

Mode = Literal["accept", "temporary", "later", "permanent", "bounce", "closing", "silent", "late", "drop", "away"]
"""`temporary` and `bounce` refuse the recipient, `later` and `permanent` the mail, for now or for good; `closing` says
421 and hangs up; `silent` never answers, `late` never once it has the mail, `drop` cuts then; `away` is not there."""
TAKEN, NOT_SAID = 250, 0
HOST = "127.0.0.1"
SILENT_SECONDS = 60.0  # longer than a courier waits


class Mail(NamedTuple):
    """A mail the server has: when (seconds since 1970), the local part of its Message-ID, and what it answered.

    Of a refused recipient, `message_id` is the address.
    """

    at: float
    message_id: str
    code: int = TAKEN

    @property
    def answered(self) -> bool:
        return self.code != NOT_SAID


class MailServer:
    """Start it, tell it how to behave, read its journal."""

    def __init__(self, journal: Path) -> None:
        journal.touch()
        self._journal = journal
        command = [sys.executable, "-m", "benchmarks.proof.mail_server", str(journal)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self._answer())
        self._mails: list[Mail] = []
        self.refused: list[Mail] = []
        self._place = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    def be(self, mode: Mode) -> None:
        """Behave like this from now on; it does when this returns."""
        assert self._process.stdin is not None
        self._process.stdin.write(mode + "\n")
        self._process.stdin.flush()
        self._answer()

    def mails(self) -> list[Mail]:
        """All that were accepted so far, in order."""
        with self._journal.open("rb") as journal:
            journal.seek(self._place)
            for line in journal:
                if not line.endswith(b"\n"):
                    break
                self._place += len(line)
                mail = Mail(*json.loads(line))
                (self._mails if mail.code in (TAKEN, NOT_SAID) else self.refused).append(mail)
        return self._mails

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("The mail server of the proof has ended; its reason stands above.")
        return line


class _Handler:
    def __init__(self, journal: IO[str]) -> None:
        self.mode: Mode = "accept"
        self._journal = journal

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.mode == "temporary":
            return "451 4.3.0 not now"
        if self.mode == "bounce":
            self._note(address, 550)
            return "550 5.1.1 nobody of this name"
        if self.mode == "closing":
            assert isinstance(server.transport, asyncio.Transport)
            asyncio.get_running_loop().call_later(0.01, server.transport.close)
            return "421 4.3.2 closing"
        if self.mode == "silent":
            await asyncio.sleep(SILENT_SECONDS)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 fine"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        id = _message_id(envelope.content if isinstance(envelope.content, bytes) else b"")
        if self.mode in ("later", "permanent"):
            self._note(id, 452 if self.mode == "later" else 554)
            return "452 4.3.1 not now" if self.mode == "later" else "554 5.7.1 not wanted"
        if self.mode in ("drop", "late"):
            self._note(id, NOT_SAID)  # it has the mail and never says so
            if self.mode == "late":
                await asyncio.sleep(SILENT_SECONDS)
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            return "250 2.0.0 taken"
        self._note(id, TAKEN)
        return "250 2.0.0 taken"

    def _note(self, id: str, code: int) -> None:
        self._journal.write(json.dumps([time.time(), id, code]) + "\n")
        self._journal.flush()


def _message_id(content: bytes) -> str:
    for line in content.splitlines():
        name, _, value = line.partition(b":")
        if name.lower() == b"message-id":
            return value.strip().strip(b"<>").partition(b"@")[0].decode()
        if not line:
            break
    return ""


class _Server:
    def __init__(self, handler: _Handler) -> None:
        self._handler = handler
        self._listening: asyncio.Server | None = None
        self._open: set[asyncio.BaseTransport] = set()
        self.port = 0

    async def listen(self) -> None:
        if self._listening is None:
            loop = asyncio.get_running_loop()
            self._listening = await loop.create_server(self._session, HOST, self.port)
            self.port = self._listening.sockets[0].getsockname()[1]

    def go_away(self) -> None:
        """Refuse new connections, and cut those that there are."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        for transport in self._open:
            transport.close()
        self._open.clear()

    def _session(self) -> SMTP:
        opened = self._open

        class Counted(SMTP):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                opened.add(transport)
                super().connection_made(transport)

            def connection_lost(self, error: Exception | None) -> None:
                opened.discard(self.transport)
                super().connection_lost(error)

        return Counted(self._handler, hostname="proof.example", enable_SMTPUTF8=True, loop=asyncio.get_running_loop())


async def _serve(journal: Path) -> None:
    loop = asyncio.get_running_loop()
    with journal.open("a", encoding="utf-8") as out:
        handler = _Handler(out)
        server = _Server(handler)
        await server.listen()
        print(server.port, flush=True)
        told: asyncio.StreamReader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
        while line := await told.readline():
            mode = line.decode().strip()
            handler.mode = mode  # type: ignore[assignment]
            if mode == "away":
                server.go_away()
            else:
                await server.listen()
            print(mode, flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
